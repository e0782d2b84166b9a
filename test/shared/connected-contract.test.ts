import { shareStore } from '../../src/shared/share-store.js'
import { describeThroughSocket } from '../remote/socket/describe-through-socket.js'

describeThroughSocket('a shared root that another one owns', (root, defaults) =>
  shareStore({ root, ...defaults }),
)

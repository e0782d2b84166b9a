import { connectStore } from '../../../src/remote/connect.js'
import { describeThroughSocket } from './describe-through-socket.js'

describeThroughSocket("a connection through the owner's socket", (root, defaults) =>
  connectStore({ root }, defaults),
)

import { openStore } from 'agent-state'
import { describeInRoots } from '../helpers/describe-in-roots.js'

describeInRoots('files, in a thread of its own', (options) => openStore({ ...options, ownThread: true }))

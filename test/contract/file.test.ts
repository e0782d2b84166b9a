import { openStore } from 'agent-state'
import { describeInRoots } from '../helpers/describe-in-roots.js'

describeInRoots('file', openStore)

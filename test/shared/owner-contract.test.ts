import { shareStore } from 'agent-state'
import { describeInRoots } from '../helpers/describe-in-roots.js'

describeInRoots('a shared root that this process owns', shareStore)

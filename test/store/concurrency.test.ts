import { describeConcurrency } from '../helpers/describe-concurrency.js'
import { memoryStores } from '../helpers/stores.js'

describeConcurrency(memoryStores, 40_000)

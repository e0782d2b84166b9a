import { describeProperties } from '../helpers/describe-properties.js'
import { memoryStores } from '../helpers/stores.js'

describeProperties(memoryStores, 300)

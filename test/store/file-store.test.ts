import { describeConcurrency } from '../helpers/describe-concurrency.js'
import { describeHistories } from '../helpers/describe-histories.js'
import { describeProperties } from '../helpers/describe-properties.js'
import { fileStores } from '../helpers/file-stores.js'

describeProperties(fileStores, 12)
describeHistories(fileStores, 3)
describeConcurrency(fileStores, 15_000)

import { describeConcurrency } from '../helpers/describe-concurrency.js'
import { describeHistories } from '../helpers/describe-histories.js'
import { describeProperties } from '../helpers/describe-properties.js'
import { fileStores } from '../helpers/file-stores.js'

describeProperties(fileStores, 12)
describeProperties(fileStores, 6, { limits: { cacheBytesMax: 1, headBytesMax: 1 }, detect: 'writer-change' })
describeHistories(fileStores, 3)
describeConcurrency(fileStores, 15_000)

import { describeProperties } from '../helpers/describe-properties.js'
import { memoryStores } from '../helpers/stores.js'

describeProperties(memoryStores, 120)
describeProperties(memoryStores, 40, { limits: { cacheBytesMax: 1 } })
// Who deleted a key may be forgotten with its head, which only lost-update looks at.
describeProperties(memoryStores, 40, { limits: { headBytesMax: 1 }, detect: 'writer-change' })

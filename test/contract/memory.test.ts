import type { Backend } from '../../src/backend/backend.js'
import { memoryBackend } from '../../src/backend/memory.js'
import { describeBackendContract, describeStoreContract } from '../../src/contract/index.js'
import type { Store } from '../../src/api.js'
import { openStore } from '../../src/store.js'

const backends = new WeakMap<Store, Backend>()

describeStoreContract('memory', {
  async open(options) {
    const backend = memoryBackend()
    const store = await openStore({ ...options, backend })
    backends.set(store, backend)
    return store
  },
  async reopen(closed, options) {
    const backend = backends.get(closed)!
    const store = await openStore({ ...options, backend })
    backends.set(store, backend)
    return store
  },
})

describeBackendContract('memory', {
  create: () => memoryBackend(),
  reopen: (closed) => closed,
})

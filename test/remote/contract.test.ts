import type { Backend } from '../../src/backend/backend.js'
import type { Store } from '../../src/api.js'
import { memoryBackend } from '../../src/backend/memory.js'
import { describeStoreContract, type StoreOptions } from '../../src/contract/index.js'
import { connectStore } from '../../src/remote/connect.js'
import { openStore } from '../../src/store.js'

interface Opened {
  readonly backend: Backend
  readonly host: Store
}

const opened = new WeakMap<Store, Opened>()

/** A store, and a connection to it, which is what the contract sees. */
async function connect(backend: Backend, options: StoreOptions = {}): Promise<Store> {
  const { limits, ...defaults } = options
  const host = await openStore({ backend, limits })
  const store = await connectStore(host.createPort(), defaults)
  opened.set(store, { backend, host })
  return store
}

describeStoreContract('a connection in the same thread', {
  open: (options) => connect(memoryBackend(), options),
  async reopen(closed, options) {
    const { backend, host } = opened.get(closed)!
    await host.close()
    return connect(backend, options)
  },
})

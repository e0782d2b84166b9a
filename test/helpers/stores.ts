/** Stores of a kind, on state that outlasts them. */
import type { Store } from '../../src/api.js'
import { memoryBackend } from '../../src/backend/memory.js'
import type { StoreOptions } from '../../src/contract/index.js'
import { openStore } from '../../src/store.js'

/** One piece of state, opened by one store at a time. */
export interface StoredState {
  open(options?: StoreOptions): Promise<Store>
  dispose(): Promise<void>
}

export interface StoreKind {
  readonly name: string
  create(): Promise<StoredState>
}

export const memoryStores: StoreKind = {
  name: 'memory',
  async create() {
    const backend = memoryBackend()
    return { open: (options) => openStore({ ...options, backend }), dispose: async () => {} }
  },
}

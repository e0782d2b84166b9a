import type { Store } from '../../../src/api.js'
import type { Backend } from '../../../src/backend/backend.js'
import { memoryBackend } from '../../../src/backend/memory.js'
import { describeStoreContract, type StoreOptions } from '../../../src/contract/index.js'
import { hostRoot, type HostedRoot } from './hosted-root.js'

interface Opened {
  readonly backend: Backend
  readonly hosted: HostedRoot
}

const opened = new WeakMap<Store, Opened>()

/** An owner of a root, and somebody connected to it through its socket, which is what the contract sees. */
export function describeThroughSocket(
  name: string,
  connect: (root: string, defaults: Omit<StoreOptions, 'limits'>) => Promise<Store>,
): void {
  const made: HostedRoot[] = []
  const open = async (backend: Backend, options: StoreOptions = {}): Promise<Store> => {
    const { limits, ...defaults } = options
    const hosted = await hostRoot(backend, limits)
    made.push(hosted)
    const store = await connect(hosted.root, defaults)
    opened.set(store, { backend, hosted })
    return store
  }
  describeStoreContract(name, {
    open: (options) => open(memoryBackend(), options),
    async reopen(closed, options) {
      const { backend, hosted } = opened.get(closed)!
      await hosted.close()
      return open(backend, options)
    },
    async cleanup() {
      for (const hosted of made.splice(0)) await hosted.close()
    },
  })
}

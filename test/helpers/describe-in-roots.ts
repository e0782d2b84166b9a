import type { Store } from 'agent-state'
import { describeStoreContract, type StoreOptions } from 'agent-state/contract'
import { rm } from 'node:fs/promises'
import { makeRoot } from './file-stores.js'

/** The contract of stores that `open` opens, each in a temporary root of its own. */
export function describeInRoots(
  name: string,
  open: (options: StoreOptions & { readonly root: string }) => Promise<Store>,
): void {
  const roots = new WeakMap<Store, string>()
  const made: string[] = []
  const openIn = async (root: string, options: StoreOptions | undefined): Promise<Store> => {
    const store = await open({ ...options, root })
    roots.set(store, root)
    return store
  }
  describeStoreContract(name, {
    async open(options) {
      const root = await makeRoot()
      made.push(root)
      return openIn(root, options)
    },
    reopen: (closed, options) => openIn(roots.get(closed)!, options),
    async cleanup() {
      for (const root of made.splice(0)) await rm(root, { recursive: true, force: true })
    },
  })
}

import { shareStore, type Store } from 'agent-state'
import { describeStoreContract } from 'agent-state/contract'
import { rm } from 'node:fs/promises'
import { makeRoot } from '../helpers/file-stores.js'

const made: string[] = []
const roots = new WeakMap<Store, string>()

describeStoreContract('a shared root that this process owns', {
  async open(options) {
    const root = await makeRoot()
    made.push(root)
    const store = await shareStore({ ...options, root })
    roots.set(store, root)
    return store
  },
  async reopen(closed, options) {
    const root = roots.get(closed)!
    const store = await shareStore({ ...options, root })
    roots.set(store, root)
    return store
  },
  async cleanup() {
    for (const root of made.splice(0)) await rm(root, { recursive: true, force: true })
  },
})

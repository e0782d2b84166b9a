import { openStore, type Store } from 'agent-state'
import { describeStoreContract } from 'agent-state/contract'
import { rm } from 'node:fs/promises'
import { makeRoot } from '../helpers/file-stores.js'

const roots = new WeakMap<Store, string>()
const made: string[] = []

describeStoreContract('files, in a thread of its own', {
  async open(options) {
    const root = await makeRoot()
    made.push(root)
    const store = await openStore({ ...options, root, ownThread: true })
    roots.set(store, root)
    return store
  },
  async reopen(closed, options) {
    const root = roots.get(closed)!
    const store = await openStore({ ...options, root, ownThread: true })
    roots.set(store, root)
    return store
  },
  async cleanup() {
    for (const root of made) await rm(root, { recursive: true, force: true })
  },
})

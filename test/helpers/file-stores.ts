/** File stores as users have them: of the built package, each state in a directory of its own. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore } from 'agent-state'
import type { StoreKind } from './stores.js'

export function makeRoot(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'agent-state-'))
}

export const fileStores: StoreKind = {
  name: 'file',
  async create() {
    const root = await makeRoot()
    return {
      open: (options) => openStore({ ...options, root }),
      dispose: () => rm(root, { recursive: true, force: true }),
    }
  },
}

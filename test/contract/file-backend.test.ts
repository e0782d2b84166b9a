import { rm } from 'node:fs/promises'
import type { Backend } from 'agent-state'
import { describeBackendContract } from 'agent-state/contract'
import { checkOpenOptions } from '../../dist/open-options.js'
import { fileBackend } from '../../dist/backend/file/file-backend.js'
import { makeRoot } from '../helpers/file-stores.js'

const roots = new WeakMap<Backend, string>()
const made: string[] = []

function backendAt(root: string): Backend {
  const settings = checkOpenOptions({ root })
  if (settings.kind !== 'file') throw new Error('a root makes a file backend')
  const backend = fileBackend(settings)
  roots.set(backend, root)
  return backend
}

describeBackendContract('file', {
  async create() {
    const root = await makeRoot()
    made.push(root)
    return backendAt(root)
  },
  reopen: (closed) => backendAt(roots.get(closed)!),
  async cleanup() {
    for (const root of made) await rm(root, { recursive: true, force: true })
  },
})

import { mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Contestant } from './contestant.js'
import { loadFrom } from '../harness/load-from.js'

type WriteFileAtomic = (path: string, content: Uint8Array) => Promise<void>

export const writeFileAtomic: Contestant = {
  name: 'write-file-atomic',
  about:
    'write-file-atomic, defaults: one fsync a write; it does not sync the directory, so a new file may be lost',
  rival: 'write-file-atomic',
  open: async (folder) => {
    const { default: write } = await loadFrom<{ default: WriteFileAtomic }>('rivals', 'write-file-atomic')
    const made = new Set<string>()
    const pathOf = (namespace: number, key: string): string => join(folder, `n${namespace}`, key)
    return {
      write: async (_, namespace, key, value) => {
        const path = pathOf(namespace, key)
        const parent = dirname(path)
        if (!made.has(parent)) {
          await mkdir(parent, { recursive: true })
          made.add(parent)
        }
        await write(path, value)
      },
      read: (namespace, key) => readFile(pathOf(namespace, key)).catch(() => null),
      drain: async () => {},
      close: async () => {},
    }
  },
}

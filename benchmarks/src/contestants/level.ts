import { join } from 'node:path'
import type { Contestant } from './contestant.js'
import { GroupCommit } from './group-commit.js'
import { loadFrom } from '../harness/load-from.js'

interface Put {
  readonly type: 'put'
  readonly key: string
  readonly value: Uint8Array
}

interface Level {
  open(): Promise<void>
  batch(operations: readonly Put[], options: { readonly sync: boolean }): Promise<void>
  get(key: string): Promise<Uint8Array | undefined>
  compactRange(start: string, end: string): Promise<void>
  close(): Promise<void>
}

/** Larger than its default: that makes contents of 4 KiB faster, and small ones no slower. */
const WRITE_BUFFER_BYTES = 64 * 1024 * 1024

export const level: Contestant = {
  name: 'level batched',
  about: 'classic-level, write buffer of 64 MiB, else defaults, sync: true, one batch a group',
  rival: 'classic-level',
  batched: true,
  open: async (folder, { batch }) => {
    const { ClassicLevel } = await loadFrom<{
      ClassicLevel: new (path: string, options: Readonly<Record<string, unknown>>) => Level
    }>('rivals', 'classic-level')
    const options = { valueEncoding: 'view', writeBufferSize: WRITE_BUFFER_BYTES }
    const database = new ClassicLevel(join(folder, 'state.level'), options)
    await database.open()
    const groups = new GroupCommit<Put>(batch, (items) => database.batch(items, { sync: true }))
    return {
      write: (_, namespace, key, value) => groups.add({ type: 'put', key: `${namespace}/${key}`, value }),
      read: async (namespace, key) => (await database.get(`${namespace}/${key}`)) ?? null,
      drain: () => database.compactRange('', '\uffff'),
      close: () => database.close(),
    }
  },
}

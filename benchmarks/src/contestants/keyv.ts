import { join } from 'node:path'
import type { Contestant } from './contestant.js'
import { loadFrom } from '../harness/load-from.js'

interface Keyv {
  set(key: string, value: Buffer): Promise<boolean>
  get(key: string): Promise<Buffer | undefined>
  disconnect(): Promise<void>
}

/** Its SQLite adapter has no option for the journal: the table's name, the length of keys and a timeout are all it takes. */
export const keyv: Contestant = {
  name: 'keyv',
  about:
    "keyv with @keyv/sqlite, defaults (SQLite's rollback journal, synchronous=FULL), one transaction a write",
  rival: '@keyv/sqlite',
  open: async (folder) => {
    const { Keyv } = await loadFrom<{ Keyv: new (options: { store: unknown }) => Keyv }>('rivals', 'keyv')
    const { KeyvSqlite } = await loadFrom<{ KeyvSqlite: new (uri: string) => unknown }>(
      'rivals',
      '@keyv/sqlite',
    )
    const store = new Keyv({ store: new KeyvSqlite(`sqlite://${join(folder, 'keyv.sqlite')}`) })
    return {
      write: (_, namespace, key, value) => store.set(`${namespace}/${key}`, bufferOf(value)),
      read: async (namespace, key) => (await store.get(`${namespace}/${key}`)) ?? null,
      drain: async () => {},
      close: () => store.disconnect(),
    }
  },
}

/** It keeps a Buffer as base64; other bytes it would turn into an object of numbers. */
function bufferOf(value: Uint8Array): Buffer {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
}

import { join } from 'node:path'
import type { Contestant } from './contestant.js'
import { GroupCommit } from './group-commit.js'
import { loadFrom } from '../harness/load-from.js'

interface Database {
  put(key: string, value: Uint8Array): Promise<boolean>
  getBinary(key: string): Uint8Array | undefined
  readonly flushed: Promise<unknown>
  close(): Promise<void>
}

interface Lmdb {
  readonly open: (options: Readonly<Record<string, unknown>>) => Database
}

/** Its own batching: what is put in one turn of the event loop is one transaction. */
export const lmdb: Contestant = {
  name: 'lmdb',
  about:
    'lmdb (lmdb-js), noMemInit, else defaults, binary values, its own batching by turn of the event loop; waits for `flushed`',
  rival: 'lmdb',
  open: async (folder) => {
    const database = await openDatabase(folder)
    return {
      write: async (_, namespace, key, value) => {
        await database.put(`${namespace}/${key}`, value)
        await database.flushed
      },
      ...common(database),
    }
  },
}

export const lmdbBatched: Contestant = {
  name: 'lmdb batched',
  about:
    'lmdb (lmdb-js), noMemInit, else defaults, binary values, one turn of the event loop a group, which waits for `flushed` once',
  rival: 'lmdb',
  batched: true,
  open: async (folder, { batch }) => {
    const database = await openDatabase(folder)
    const groups = new GroupCommit<readonly [string, Uint8Array]>(batch, async (items) => {
      let last: Promise<boolean> | null = null
      for (const [key, value] of items) last = database.put(key, value)
      await last
      await database.flushed
    })
    return {
      write: (_, namespace, key, value) => groups.add([`${namespace}/${key}`, value]),
      ...common(database),
    }
  },
}

/** `noMemInit` is recommended for speed; unused parts of pages may then hold what was in memory. */
async function openDatabase(folder: string): Promise<Database> {
  const { open } = await loadFrom<Lmdb>('rivals', 'lmdb')
  return open({ path: join(folder, 'state.lmdb'), encoding: 'binary', noMemInit: true })
}

function common(database: Database): Omit<Awaited<ReturnType<Contestant['open']>>, 'write'> {
  return {
    read: (namespace, key) => database.getBinary(`${namespace}/${key}`) ?? null,
    drain: async () => void (await database.flushed),
    close: () => database.close(),
  }
}

import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Contestant, Opened, Settings } from './contestant.js'
import { GroupCommit } from './group-commit.js'
import { loadFrom } from '../harness/load-from.js'

interface Statement {
  run(...values: unknown[]): unknown
  get(...values: unknown[]): unknown
}

interface Database {
  pragma(text: string): unknown
  exec(text: string): unknown
  prepare(text: string): Statement
  transaction<A extends unknown[]>(fn: (...args: A) => void): (...args: A) => void
  close(): void
}

type Write = readonly [caller: number, key: string, value: Uint8Array]

const SETUP = 'better-sqlite3, WAL, synchronous=FULL'

/** One transaction, and so one sync, per write. */
export const sqlite: Contestant = {
  name: 'sqlite',
  about: `${SETUP}, one transaction a write`,
  rival: 'better-sqlite3',
  open: async (folder) => {
    const database = await openDatabase(folder)
    const put = plainPut(database)
    return opened(database, folder, (...write) => put(...write))
  },
}

export const sqliteBatched: Contestant = {
  name: 'sqlite batched',
  about: `${SETUP}, one transaction a group`,
  rival: 'better-sqlite3',
  batched: true,
  open: (folder, settings) => openBatched(folder, settings, plainPut),
}

/** Does what this library does besides: keeps the writer, and looks who wrote before. */
export const sqliteOurWork: Contestant = {
  name: 'sqlite batched + writer',
  about: `${SETUP}, one transaction a group, with a column for the writer and a look at the previous one`,
  rival: 'better-sqlite3',
  batched: true,
  open: (folder, settings) => openBatched(folder, settings, putWithWriter),
}

/** SQLite's documentation advises against WITHOUT ROWID for rows of more than a twentieth of a page, which all are here. */
async function openDatabase(folder: string): Promise<Database> {
  const { default: open } = await loadFrom<{ default: new (path: string) => Database }>(
    'rivals',
    'better-sqlite3',
  )
  const database = new open(join(folder, 'state.sqlite'))
  database.pragma('journal_mode = WAL')
  database.pragma('synchronous = FULL')
  database.exec(
    'CREATE TABLE IF NOT EXISTS entry (key TEXT PRIMARY KEY, value BLOB, writer TEXT, revision INTEGER)',
  )
  return database
}

type Put = (...write: Write) => unknown

function plainPut(database: Database): Put {
  const put = database.prepare(
    'INSERT INTO entry (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
  )
  return (_, key, value) => put.run(key, value)
}

function putWithWriter(database: Database): Put {
  const previous = database.prepare('SELECT writer, revision FROM entry WHERE key = ?')
  const put = database.prepare(
    `INSERT INTO entry (key, value, writer, revision) VALUES (?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET value = excluded.value, writer = excluded.writer, revision = excluded.revision`,
  )
  let revision = Date.now()
  return (caller, key, value) => {
    const writer = `agent-${caller}`
    const found = previous.get(key) as { writer: string; revision: number } | undefined
    put.run(key, value, writer, revision++)
    return found !== undefined && found.writer !== writer
  }
}

async function openBatched(
  folder: string,
  { batch }: Settings,
  makePut: (database: Database) => Put,
): Promise<Opened> {
  const database = await openDatabase(folder)
  const put = makePut(database)
  const putAll = database.transaction((writes: readonly Write[]) => {
    for (const [caller, key, value] of writes) put(caller, key, value)
  })
  const groups = new GroupCommit<Write>(batch, putAll)
  return opened(database, folder, (...write) => groups.add(write))
}

function opened(database: Database, folder: string, write: Put): Opened {
  const get = database.prepare('SELECT value FROM entry WHERE key = ?')
  return {
    write: (caller, namespace, key, value) => write(caller, `${namespace}/${key}`, value),
    read: (namespace, key) => {
      const row = get.get(`${namespace}/${key}`) as { value: Uint8Array } | undefined
      return row?.value ?? null
    },
    drain: async () => void database.pragma('wal_checkpoint(TRUNCATE)'),
    close: async () => database.close(),
    journalBytes: () => sizeOf(join(folder, 'state.sqlite-wal')),
  }
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => null))?.size ?? 0
}

/** What a store shows, and what lies on the disk, as plain data that can be compared. */
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import type { Entry, EventMap, Store } from '../../../src/api.js'
import type { Backend } from '../../../src/backend/backend.js'
import { collect, nextTurn } from '../../../src/contract/observe.js'
import type { Limits } from '../../../src/limits.js'
import { openStore } from '../../../src/store.js'

export interface ShownEntry {
  readonly value: string
  readonly revision: number
  readonly writer: string | null
  readonly external: boolean
}

/** `namespace` → key → entry. */
export type Shown = Readonly<Record<string, Readonly<Record<string, ShownEntry>>>>

/** Every entry of every namespace; fails if one of them can't be read. */
export async function showStore(store: Store): Promise<Shown> {
  const shown: Record<string, Record<string, ShownEntry>> = {}
  for await (const namespace of store.namespaces()) {
    const session = await store.resume(namespace)
    const entries = await collect(session.entries())
    shown[namespace] = Object.fromEntries(entries.map((entry) => [entry.key, briefly(entry)]))
  }
  return shown
}

export function briefly({ value, revision, writer, external }: Entry): ShownEntry {
  return {
    value: Buffer.from(value).toString('latin1'),
    revision,
    writer: writer?.writerId ?? null,
    external,
  }
}

/** An open store with everything that it says unasked. */
export interface Opened {
  readonly store: Store
  readonly external: EventMap['external'][]
  readonly warnings: EventMap['warning'][]
  readonly recovered: EventMap['recovered'][]
}

export async function openRecorded(backend: Backend, limits: Partial<Limits> = {}): Promise<Opened> {
  const store = await openStore({ backend, limits })
  const opened = { store, external: [], warnings: [], recovered: [] } satisfies Opened as {
    store: Store
    external: EventMap['external'][]
    warnings: EventMap['warning'][]
    recovered: EventMap['recovered'][]
  }
  store.events.on('external', (event) => opened.external.push(event))
  store.events.on('warning', (event) => opened.warnings.push(event))
  store.events.on('recovered', (event) => opened.recovered.push(event))
  // What happened while opening is published in the first turn after it.
  await nextTurn()
  return opened
}

/**
 * Everything below a directory: kind, mode, size, time and content, but neither the times of directories nor what the lock
 * file says, which is nobody's state.
 */
export function showDisk(directory: string, below = ''): Record<string, string> {
  const found: Record<string, string> = {}
  for (const name of readdirSync(`${directory}/${below}`).sort()) {
    const path = below === '' ? name : `${below}/${name}`
    const stat = lstatSync(`${directory}/${path}`)
    const mode = (stat.mode & 0o7777).toString(8)
    if (stat.isDirectory()) Object.assign(found, { [`${path}/`]: mode }, showDisk(directory, path))
    else if (stat.isSymbolicLink()) found[path] = `symlink to ${readlinkSync(`${directory}/${path}`)}`
    else if (!stat.isFile()) found[path] = `special ${stat.mode.toString(8)} ${stat.rdev}`
    else if (path === '.agent_state/lock') found[path] = mode
    else {
      const content = crc32(readFileSync(`${directory}/${path}`))
      found[path] = `${mode} ${stat.size} bytes, ${stat.mtimeMs}, ${content.toString(16)}`
    }
  }
  return found
}

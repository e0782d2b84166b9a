/** A root in a temporary directory, with a segment that holds the values of the tasks made for it. */
import {
  appendFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { crc32 } from 'node:zlib'
import type {
  KnownContent,
  MaterializeTask,
  RootContext,
  TreeOperation,
  ValueLocation,
} from '../../../src/backend/file/tasks.js'
import type { Writer } from '../../../src/api.js'

export const STORE_ID = '01911111-2222-7333-8444-555555555555'
/** Not a whole second, so that rounding would show. */
export const AT_MS = 1_795_369_429_123
export const AT_S = 1_795_369_429

const SHARED_MEMORY = '/dev/shm'
const HOUR_MS = 3_600_000

export interface WriteSettings {
  readonly revision?: number
  readonly atMs?: number
  readonly writer?: Writer | null
  readonly writerAtS?: number | null
  readonly anonymous?: boolean
  readonly known?: readonly KnownContent[]
}

export class TreeFixture {
  readonly directory: string
  readonly root: string
  readonly segment: string
  readonly context: RootContext

  /** `inMemory`: where the system has a file system in memory, for tests that make very many trees. */
  constructor({ inMemory = false } = {}) {
    const above = inMemory && existsSync(SHARED_MEMORY) ? SHARED_MEMORY : tmpdir()
    this.directory = mkdtempSync(join(above, 'agent-state-tree-'))
    this.root = join(this.directory, 'root')
    this.segment = join(this.root, '.agent_state', 'journal', '00000001')
    this.context = { root: this.root, storeId: STORE_ID, modes: { file: 0o600, directory: 0o700 } }
    mkdirSync(dirname(this.segment), { recursive: true })
    writeFileSync(this.segment, 'what comes before the first value')
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }

  path(...parts: string[]): string {
    return join(this.root, ...parts)
  }

  /** Appends a value to the segment, as a frame would hold it. */
  value(bytes: string | Uint8Array): ValueLocation {
    const position = statSync(this.segment).size
    const buffer = Buffer.from(bytes)
    appendFileSync(this.segment, buffer)
    return { segment: this.segment, position, size: buffer.length, crc: crc32(buffer) }
  }

  write(
    key: string,
    value: string | Uint8Array,
    { known: contents, ...settings }: WriteSettings = {},
  ): TreeOperation {
    return {
      kind: 'write',
      key,
      revision: 7,
      atMs: AT_MS,
      writer: { writerId: 'w' },
      writerAtS: AT_S,
      anonymous: false,
      value: this.value(value),
      ...settings,
      ...pack(contents),
    }
  }

  delete(key: string, known?: readonly KnownContent[]): TreeOperation {
    return { kind: 'delete', key, revision: 8, ...pack(known) }
  }

  task(
    operations: readonly TreeOperation[],
    namespaceChange: MaterializeTask['namespaceChange'] = null,
    namespace = 'ns',
  ): MaterializeTask {
    const isRemoved = namespaceChange === 'remove' || namespaceChange === 'recreate'
    const removedAtMs = isRemoved ? Date.now() + HOUR_MS : null
    const { context } = this
    return { kind: 'materialize', context, namespace, namespaceChange, removedAtMs, operations }
  }

  /** Writes a file by hand, with the directories above it. */
  put(path: string, content: string | Uint8Array, atMs?: number): string {
    const full = this.path(path)
    mkdirSync(dirname(full), { recursive: true })
    writeFileSync(full, content)
    if (atMs !== undefined) utimesSync(full, atMs / 1000, atMs / 1000)
    return full
  }

  text(path: string): string | null {
    return existsSync(this.path(path)) ? readFileSync(this.path(path), 'utf8') : null
  }

  /** Everything below the root but the journal: directories, symlinks, and files with content, time and mode. */
  snapshot(below = ''): Record<string, string> {
    const found: Record<string, string> = {}
    for (const name of readdirSync(this.path(below)).sort()) {
      const path = below === '' ? name : `${below}/${name}`
      if (path === '.agent_state') continue
      const stat = lstatSync(this.path(path))
      if (stat.isDirectory()) Object.assign(found, { [`${path}/`]: 'directory' }, this.snapshot(path))
      else if (stat.isSymbolicLink()) found[path] = `symlink to ${readlinkSync(this.path(path))}`
      else if (stat.isFile()) {
        const content = readFileSync(this.path(path)).toString('latin1')
        found[path] = `${stat.mtimeMs} ${(stat.mode & 0o777).toString(8)} ${content}`
      } else found[path] = 'other'
    }
    return found
  }

  /** Names of the files of the tree, without directories and metadata. */
  contents(): string[] {
    return Object.keys(this.snapshot()).filter(
      (path) => !path.endsWith('/') && !path.includes('.agent_state_meta/'),
    )
  }

  /** What is left of files on their way into the tree. */
  temporaries(): string[] {
    const tmp = this.path('.agent_state', 'tmp')
    return existsSync(tmp) ? readdirSync(tmp) : []
  }
}

function pack(known: readonly KnownContent[] | undefined): { readonly known?: Uint32Array } {
  return known === undefined ? {} : { known: packed(known) }
}

export function packed(contents: readonly KnownContent[]): Uint32Array {
  return Uint32Array.from(contents.flatMap(({ size, crc }) => [size, crc]))
}

export function known(content: string): KnownContent {
  return { size: Buffer.byteLength(content), crc: crc32(content) }
}

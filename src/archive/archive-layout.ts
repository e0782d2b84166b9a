/**
 * How an archive is laid out, as a directory or as a tar stream: as a root is, so that it can be looked at and used with
 * the same tools, and a root that another program made can be imported.
 *
 * ```
 * <namespace>/.agent_state_meta/<key>.json    who wrote the entry and when, its revision, size and checksum; before its content
 * <namespace>/<key>                           content
 * .agent_state/export.json                    what is in the archive; the last file, so that a cut one is noticed
 * ```
 */
import { crc32 } from 'node:zlib'
import { firstMetadataPath, secondMetadataPath } from '../backend/file/layout.js'
import { encodeMetadata, parseMetadata, type Metadata } from '../backend/file/metadata.js'
import type { Writer } from '../index.js'
import { META_DIRECTORY, STORE_DIRECTORY } from '../names.js'
import type { HeldEntry } from './snapshot.js'

export const MANIFEST_PATH = `${STORE_DIRECTORY}/export.json`
export const ARCHIVE_FORMAT = 1

export interface ArchivedNamespace {
  readonly name: string
  readonly revision: number
  readonly keys: number
  readonly bytes: number
}

export interface Manifest {
  readonly format: typeof ARCHIVE_FORMAT
  /** Id of the store that it was exported from. */
  readonly store: string
  /** Milliseconds since 1970. */
  readonly exported_at: number
  readonly namespaces: readonly ArchivedNamespace[]
}

export function encodeManifest(manifest: Manifest): Buffer {
  return Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`)
}

/** Null if it is none of a format that is known here. */
export function parseManifest(bytes: Uint8Array): Manifest | null {
  try {
    const manifest = JSON.parse(Buffer.from(bytes).toString('utf8')) as Partial<Manifest> | null
    const { format, namespaces } = manifest ?? {}
    if (format !== ARCHIVE_FORMAT || !Array.isArray(namespaces)) return null
    if (!namespaces.every(isArchivedNamespace)) return null
    return manifest as Manifest
  } catch {
    return null
  }
}

function isArchivedNamespace(value: unknown): value is ArchivedNamespace {
  if (typeof value !== 'object' || value === null) return false
  const { name, revision, keys, bytes } = value as Partial<Record<keyof ArchivedNamespace, unknown>>
  return typeof name === 'string' && [revision, keys, bytes].every(isCount)
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** What an archive says of an entry. */
export interface EntryMetadata {
  readonly writer: Writer | null
  /** Null where the archive does not say; then the content can't be checked. */
  readonly size: number | null
  readonly crc: number | null
  /** In the second place only. */
  readonly key: string | null
}

export function encodeEntryMetadata(storeId: string, { stat, crc }: HeldEntry, secondPlace: boolean): Buffer {
  const { key, revision, writer, size, updatedAtMs } = stat
  // Whoever changed a file may have given it any time; metadata take none before 1970.
  const writtenAtMs = Math.min(Math.max(Math.floor(updatedAtMs), 0), Number.MAX_SAFE_INTEGER)
  const text = encodeMetadata({
    writer,
    writerAtS: writer === null ? null : Math.floor(writtenAtMs / 1000),
    own: {
      ...{ revision, storeId, size, crc, writtenAtMs, anonymous: false },
      key: secondPlace ? key : null,
    },
  })
  return Buffer.from(text)
}

/** Null if it is damaged. */
export function parseEntryMetadata(bytes: Uint8Array): EntryMetadata | null {
  const metadata = parseMetadata(bytes)
  if (metadata === null) return null
  if (metadata.own === null && /"(checksum|metadata_checksum)"/.test(Buffer.from(bytes).toString('latin1')))
    return null
  return entryMetadata(metadata)
}

/** What counts in an archive of an entry's metadata. */
export function entryMetadata({ writer, own }: Metadata): EntryMetadata {
  return { writer, size: own?.size ?? null, crc: own?.crc ?? null, key: own?.key ?? null }
}

/** Whether a content is what its metadata say. */
export function fits(value: Uint8Array, { size, crc }: EntryMetadata): boolean {
  return (size === null || size === value.length) && (crc === null || crc === crc32(value))
}

/** The metadata path of each key. A key `a` has another one where keys below `a.json/` need a directory in its place. */
export function metadataPaths(namespace: string, keys: Iterable<string>): (key: string) => MetadataPlace {
  const directories = new Set<string>()
  for (const key of keys) {
    for (let slash = key.lastIndexOf('/'); slash !== -1; slash = key.lastIndexOf('/', slash - 1)) {
      const directory = key.slice(0, slash)
      if (directories.has(directory)) break
      directories.add(directory)
    }
  }
  return (key) => {
    const isSecond = directories.has(`${key}.json`)
    const path = isSecond ? secondMetadataPath('', namespace, key) : firstMetadataPath('', namespace, key)
    return { path: path.slice(1), isSecond }
  }
}

export interface MetadataPlace {
  readonly path: string
  readonly isSecond: boolean
}

export type ArchivePath =
  | { readonly kind: 'content'; readonly namespace: string; readonly key: string }
  /** `key` is null in the second place: the metadata tell. */
  | { readonly kind: 'metadata'; readonly namespace: string; readonly key: string | null }
  | { readonly kind: 'manifest' }
  /** A directory at the top. */
  | { readonly kind: 'namespace'; readonly namespace: string }
  /** Of the store itself, or a directory below a namespace. */
  | { readonly kind: 'other' }

export function parseArchivePath(given: string, isDirectory: boolean): ArchivePath {
  const path = given.replace(/^(\.\/+)+/, '').replace(/\/+$/, '')
  if (path === MANIFEST_PATH) return { kind: 'manifest' }
  const [namespace = '', ...rest] = path.split('/')
  if (namespace === STORE_DIRECTORY || path === '' || path === '.') return { kind: 'other' }
  if (isDirectory) return rest.length === 0 ? { kind: 'namespace', namespace } : { kind: 'other' }
  const key = rest.join('/')
  if (rest[0] !== META_DIRECTORY) return { kind: 'content', namespace, key }
  if (rest[1] === META_DIRECTORY) return { kind: 'metadata', namespace, key: null }
  if (!key.endsWith('.json')) return { kind: 'other' }
  return { kind: 'metadata', namespace, key: key.slice(META_DIRECTORY.length + 1, -'.json'.length) }
}

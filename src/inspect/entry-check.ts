/** Compares an entry's content with its metadata and with what the journal has of it. */
import type { NamespaceBacklog, Pending } from '../backend/file/backlog.js'
import type { Directories } from '../backend/file/directories.js'
import { readFully, type FileStat } from '../backend/file/file-system.js'
import { includesContent } from '../backend/file/known-contents.js'
import { contentPath, firstMetadataPath, secondMetadataPath } from '../backend/file/layout.js'
import type { Metadata } from '../backend/file/metadata.js'
import { checksumFile, readMetadata, withFile, type FoundMetadata } from '../backend/file/tree-files.js'
import { judgeEntry, timeFits, type JudgeRules } from '../backend/file/tree-judge.js'
import { META_DIRECTORY } from '../names.js'
import { finding, type Finding } from './finding.js'
import { readOnlyFileSystem as fs } from './read-only-file-system.js'
import { problem } from './store-files.js'

export interface TreeRules extends JudgeRules {
  readonly root: string
  readonly directories: Directories
}

export interface CheckedEntry {
  /** Null: all is well. */
  readonly found: Finding | null
  readonly bytes: number
  /** Changes whenever one of its two files is replaced. */
  readonly identity: string
}

interface Content {
  readonly stat: FileStat
  readonly crc: number
}

const RESTORE = 'restore the file from a copy, or write the key anew'

/** `backlog`: what the journal has of the namespace; null: nothing, or it could not be read. */
export function checkEntry(
  rules: TreeRules,
  namespace: string,
  key: string,
  backlog: NamespaceBacklog | null,
): CheckedEntry {
  const path = `${namespace}/${key}`
  try {
    const content = readContent(contentPath(rules.root, namespace, key))
    const metadata = readMetadata(fs, rules.directories, rules.root, namespace, key)
    const identity = `${identityOf(content?.stat ?? null)} ${metadataIdentity(rules.root, namespace, key)}`
    if (content === null) return { found: null, bytes: 0, identity }
    const found = judge(rules, { namespace, key, path }, content, metadata, backlog)
    return { found, bytes: content.stat.size, identity }
  } catch (error) {
    return { found: problem(error, 'content', path, '', { namespace, key }), bytes: 0, identity: '' }
  }
}

interface Place {
  readonly namespace: string
  readonly key: string
  readonly path: string
}

function judge(
  rules: TreeRules,
  { namespace, key, path }: Place,
  content: Content,
  found: FoundMetadata,
  backlog: NamespaceBacklog | null,
): Finding | null {
  const pending = backlog?.entries.get(key) ?? null
  const isBeingRemoved =
    pending === null && backlog !== null && backlog.change !== null && backlog.change.change !== 'create'
  const place = { namespace, key }
  const { stat, crc } = content
  const metadata = found.status === 'found' ? found.metadata : null
  const { verdict } = judgeEntry(
    key,
    metadata,
    { size: stat.size, mtimeMs: stat.mtimeMs, ino: stat.ino, crc },
    rules,
  )
  const repair = pending === null ? null : 'brings what the journal has of this key into the tree'
  if (found.status === 'corrupt') {
    const advice = "write the key anew with 'agent-state put --repair-metadata'"
    return finding('damage', 'metadata', metadataPath(rules.root, found.path), 'it is no metadata', {
      ...place,
      repair,
      advice,
    })
  }
  if (verdict === 'own') return null
  if (verdict === 'damaged') {
    const message =
      'the content does not fit its checksum, and its size and time say that nobody has changed it'
    return finding('damage', 'content', path, message, { ...place, repair, advice: RESTORE })
  }
  if (isBeingRemoved) return null
  if (pending !== null) return judgePending(place, path, pending, content, metadata)
  return judgeExternal(rules, place, path, content, metadata)
}

/** Half done is what an unclean end leaves; anything else was made by somebody in the meantime. */
function judgePending(
  place: Omit<Place, 'path'>,
  path: string,
  pending: Pending,
  { stat, crc }: Content,
  metadata: Metadata | null,
): Finding | null {
  const content = { size: stat.size, crc }
  const isKnown =
    (pending.kind === 'write' && pending.size === content.size && pending.crc === crc) ||
    (pending.known !== null && includesContent(pending.known.packed(), content)) ||
    (metadata?.own?.size === content.size && metadata.own.crc === crc)
  if (isKnown) return null
  const message = 'somebody else changed it after an unclean end'
  const repair = 'moves it to .agent_state/preserved, and writes what the journal has'
  return finding('changed', 'content', path, message, { ...place, repair })
}

function judgeExternal(
  { root, storeId, ceiling }: TreeRules,
  place: Omit<Place, 'path'>,
  path: string,
  { stat, crc }: Content,
  metadata: Metadata | null,
): Finding {
  const own = metadata?.own ?? null
  if (own === null) {
    const file = ownMetadataFile(root, place.namespace, place.key)
    if (file === null) return finding('changed', 'content', path, 'it was not written by this store', place)
    const advice = 'if nobody has edited it: look at it, and write the key anew'
    return finding('damage', 'metadata', metadataPath(root, file), 'its fields do not fit their checksum', {
      ...place,
      advice,
    })
  }
  if (own.storeId !== storeId)
    return finding('changed', 'content', path, 'it was written by another store', place)
  if (own.revision > ceiling) {
    const message = `its revision ${own.revision} is above all that the checkpoint knows of (${ceiling}): one of them is not of this time`
    const advice = 'restore the whole root from one copy'
    return finding(
      'damage',
      'checkpoint',
      metadataPath(root, ownMetadataFile(root, place.namespace, place.key) ?? path),
      message,
      { ...place, advice },
    )
  }
  if (own.key !== null && own.key !== place.key)
    return finding('changed', 'content', path, 'its metadata are those of another key', place)
  if (own.size !== stat.size && timeFits(stat.mtimeMs, own.writtenAtMs)) {
    const message = `it has ${stat.size} bytes instead of ${own.size}, and its time says that nobody has changed it`
    return finding('damage', 'content', path, message, { ...place, advice: RESTORE })
  }
  if (crc === own.crc && own.size === stat.size)
    return finding('changed', 'content', path, 'it was written anew by hand, with the same content', place)
  return finding('changed', 'content', path, 'it was edited by hand, or it is damaged', {
    ...place,
    advice: 'if nobody edited it, restore the file from a copy',
  })
}

function readContent(path: string): Content | null {
  return withFile(fs, path, (fd, stat) => ({ stat, crc: checksumFile(fs, fd, stat.size) }))
}

/** The metadata file of a key if it is one that this library wrote: the origin's have none of its fields. */
function ownMetadataFile(root: string, namespace: string, key: string): string | null {
  for (const path of [firstMetadataPath(root, namespace, key), secondMetadataPath(root, namespace, key)]) {
    const text = withFile(fs, path, (fd, stat) => {
      const bytes = Buffer.alloc(stat.size)
      return bytes.toString('latin1', 0, readFully(fs, fd, bytes, 0))
    })
    if (text === null) continue
    return /"(store|checksum|metadata_checksum|written_at|revision)"/.test(text) ? path : null
  }
  return null
}

function metadataIdentity(root: string, namespace: string, key: string): string {
  return [firstMetadataPath(root, namespace, key), secondMetadataPath(root, namespace, key)]
    .map((path) => identityOf(fs.lstat(path)))
    .join(' ')
}

function identityOf(stat: FileStat | null): string {
  return stat === null ? '-' : `${stat.ino}:${stat.mtimeMs}:${stat.size}`
}

function metadataPath(root: string, path: string): string {
  return path.startsWith(`${root}/`) ? path.slice(root.length + 1) : path
}

/** The key of a metadata file, below the metadata directory; null if it has none. */
export function keyOfMetadata(root: string, namespace: string, path: string): string | null {
  if (!path.endsWith('.json')) return null
  if (!path.startsWith(`${META_DIRECTORY}/`)) return path.slice(0, -'.json'.length)
  const text = withFile(fs, `${root}/${namespace}/${META_DIRECTORY}/${path}`, (fd, stat) => {
    const bytes = Buffer.alloc(stat.size)
    return bytes.toString('utf8', 0, readFully(fs, fd, bytes, 0))
  })
  try {
    const { key } = JSON.parse(text ?? 'null') as { key?: unknown }
    return typeof key === 'string' ? key : null
  } catch {
    // Damaged, or not ours: whose it is can't be told.
    return null
  }
}

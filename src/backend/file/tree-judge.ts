/** Decides whether an entry of the tree is the store's own or was changed by something else. */
import type { Metadata, OwnMetadata } from './metadata.js'
import type { TaskHead } from './tasks.js'

/** What was found at a key's path. */
export interface FoundContent {
  readonly size: number
  readonly mtimeMs: number
  readonly ino: number
  /** Null: not computed. */
  readonly crc: number | null
}

/** What the store knows of itself. */
export interface JudgeRules {
  readonly storeId: string
  /** Revisions above it were never given out by this store. */
  readonly ceiling: number
  /** The revision of entries that are not ours. */
  readonly epoch: number
}

/**
 * `own` and `external` say who made the content. `damaged`: the store made it and nobody touched it since, but the
 * bytes are others. `unclear`: only the content's checksum can tell; ask again with it.
 */
export interface Judgement {
  readonly verdict: 'own' | 'external' | 'damaged' | 'unclear'
  readonly head: TaskHead
}

/**
 * Metadata is believed if this store made it for this key and content. An untouched content (size and time are those of
 * the metadata) needs no checksum, unless there is one to compare; one that was copied or checked out again does.
 */
export function judgeEntry(
  key: string,
  metadata: Metadata | null,
  content: FoundContent,
  rules: JudgeRules,
): Judgement {
  const external = (): Judgement => ({
    verdict: 'external',
    head: externalHead(metadata, content, rules.epoch),
  })
  const own = metadata?.own ?? null
  if (metadata === null || own === null || !isOwn(key, own, rules)) return external()
  if (own.size !== content.size) return external()
  const head = ownHead(metadata, own)
  if (content.crc === own.crc) return { verdict: 'own', head }
  const untouched = timeFits(content.mtimeMs, own.writtenAtMs)
  if (content.crc === null) return { verdict: untouched ? 'own' : 'unclear', head }
  return untouched ? { verdict: 'damaged', head } : external()
}

/** This store made the metadata, for this key. */
export function isOwn(key: string, own: OwnMetadata, { storeId, ceiling }: JudgeRules): boolean {
  return own.storeId === storeId && own.revision <= ceiling && (own.key === null || own.key === key)
}

/** Of a content that is the store's own. */
export function ownHead({ writer, writerAtS }: Metadata, own: OwnMetadata): TaskHead {
  const { revision, anonymous, size, writtenAtMs: updatedAtMs } = own
  return { revision, writer, writerAtS, anonymous, external: false, size, updatedAtMs }
}

/** Whether a content's time is the one that was set when it was written; file systems keep different precisions. */
export function timeFits(mtimeMs: number, writtenAtMs: number): boolean {
  return Math.abs(mtimeMs - writtenAtMs) < 1
}

/**
 * The fingerprint leaves out the checksum, because looking at a head and reading its value must give the same one.
 */
function externalHead(metadata: Metadata | null, content: FoundContent, epoch: number): TaskHead {
  return {
    revision: epoch,
    writer: metadata?.writer ?? null,
    writerAtS: metadata?.writerAtS ?? null,
    anonymous: true,
    external: true,
    size: content.size,
    updatedAtMs: Math.floor(content.mtimeMs),
    fingerprint: `${content.size}:${content.mtimeMs}:${content.ino}`,
  }
}

/**
 * What the coordinator's thread asks of the workers, and what they answer. Everything here crosses a thread boundary,
 * so it is plain data; errors are values.
 */
import type { FileModes, Writer } from '../../api.js'

/** What every task needs to know about the root. */
export interface RootContext {
  readonly root: string
  readonly storeId: string
  readonly modes: FileModes
}

/** Where the bytes of a value lie in the journal. */
export interface ValueLocation {
  /** Absolute path of the segment. */
  readonly segment: string
  /** Offset of the first byte of the value in the segment. */
  readonly position: number
  readonly size: number
  readonly crc: number
}

/** Size and CRC-32 of one content that a key had according to the journal. */
export interface KnownContent {
  readonly size: number
  readonly crc: number
}

/**
 * The latest operation of a key. `known` is given by recovery, packed as `known-contents.ts` says: content found at the key's
 * path that fits neither its metadata nor one of these was edited by hand after the crash, and is preserved before it is
 * replaced.
 */
export type TreeOperation =
  | {
      readonly kind: 'write'
      readonly key: string
      readonly revision: number
      readonly atMs: number
      readonly writer: Writer | null
      readonly writerAtS: number | null
      readonly anonymous: boolean
      readonly value: ValueLocation
      readonly known?: Uint32Array
    }
  | {
      readonly kind: 'delete'
      readonly key: string
      readonly revision: number
      readonly known?: Uint32Array
    }

export interface MaterializeTask {
  readonly kind: 'materialize'
  readonly context: RootContext
  readonly namespace: string
  /**
   * Null: the namespace itself did not change. `create`: its directory is made and its entry synced. `remove`: it was
   * removed before the operations; everything that the operations don't write is deleted, and the directory too, but what
   * others have put there since is moved out of the way.
   * `recreate`: removed and created again: as `remove`, but the directory stays.
   */
  readonly namespaceChange: 'create' | 'remove' | 'recreate' | null
  /** When it was removed, in milliseconds since 1970; null where it was not. */
  readonly removedAtMs: number | null
  readonly operations: readonly TreeOperation[]
}

/** Why an operation could not be applied; it stays durable in the journal. */
export interface TaskFailure {
  /** Index of the operation; -1: the namespace itself. */
  readonly index: number
  /** The system's error code (`ENOSPC` …), `CHECKSUM` for a damaged journal value, or `UNKNOWN`. */
  readonly code: string
  readonly message: string
}

export interface MaterializeAnswer {
  readonly failures: readonly TaskFailure[]
  readonly preserved: readonly PreservedContent[]
}

/** A content that was edited by hand and moved away; `preservedAs` is relative to the root. */
export interface PreservedContent {
  readonly key: string
  readonly preservedAs: string
}

export interface HeadsTask {
  readonly kind: 'heads'
  readonly context: RootContext
  readonly namespace: string
  readonly keys: readonly string[]
  /** Revisions above it are not ours. */
  readonly ceiling: number
  /** Revision of entries that are not ours. */
  readonly epoch: number
}

export interface ReadTask {
  readonly kind: 'read'
  readonly context: RootContext
  readonly entries: readonly ReadTaskEntry[]
  readonly ceiling: number
  readonly epoch: number
}

/** With `value`: read from the journal there; otherwise from the tree. */
export interface ReadTaskEntry {
  readonly namespace: string
  readonly key: string
  readonly value?: ValueLocation
}

/** As `Head` of the backend contract. */
export interface TaskHead {
  readonly revision: number
  readonly writer: Writer | null
  readonly writerAtS: number | null
  readonly anonymous: boolean
  readonly external: boolean
  readonly size: number
  readonly updatedAtMs: number
  readonly fingerprint?: string
}

/** `missing`: no regular file there (symlinks and other kinds count as missing). */
export type TaskHeadAnswer =
  | { readonly status: 'missing' }
  | { readonly status: 'found'; readonly head: TaskHead }
  /** The metadata file `path` can't be parsed; `head` is what is known without it. */
  | { readonly status: 'corrupt-metadata'; readonly path: string; readonly head: TaskHead }
  | { readonly status: 'failed'; readonly code: string; readonly path: string; readonly message: string }

export type TaskReadAnswer =
  /** `start` and `size` into the answer's `bytes`. `head` is null for values read from the journal. */
  | {
      readonly status: 'found'
      readonly head: TaskHead | null
      readonly corruptMetadata: string | null
      readonly start: number
      readonly size: number
    }
  | { readonly status: 'missing' }
  /** Not read: the answer is large already; ask for it, and for all behind it, in another task. */
  | { readonly status: 'later' }
  /** The checksum does not fit while size and time do, or the journal's value is damaged. */
  | {
      readonly status: 'corrupt'
      readonly head: TaskHead | null
      readonly path: string
      /** Offset in the journal; null for content in the tree. */
      readonly offset: number | null
    }
  | { readonly status: 'failed'; readonly code: string; readonly path: string; readonly message: string }

export interface ReadTaskAnswer {
  readonly answers: readonly TaskReadAnswer[]
  /** All values behind each other. */
  readonly bytes: Uint8Array
}

export interface ScanNamespaceTask {
  readonly kind: 'scan-namespace'
  readonly context: RootContext
  readonly namespace: string
}

export interface ScanNamespaceAnswer {
  readonly exists: boolean
  readonly keys: readonly string[]
  /** Set if a directory could not be read: then the namespace can't be used. */
  readonly failure: { readonly code: string; readonly path: string; readonly message: string } | null
}

export interface ListNamespacesTask {
  readonly kind: 'list-namespaces'
  readonly context: RootContext
}

/** Makes a segment of zeros, durable with its directory entry. */
export interface PrepareSegmentTask {
  readonly kind: 'prepare-segment'
  readonly path: string
  readonly bytes: number
  readonly fileMode: number
}

/** Deletes segments that are not needed any more. */
export interface RemoveSegmentsTask {
  readonly kind: 'remove-segments'
  readonly paths: readonly string[]
}

/** Reads the journal from a position on, one window after the other. */
export interface ScanJournalTask {
  readonly kind: 'scan-journal'
  readonly directory: string
  readonly storeId: string
  readonly from: JournalPosition
  /** Stop after about so many bytes of frames. */
  readonly windowBytes: number
}

/** The place of the next frame, and what it must say. */
export interface JournalPosition {
  readonly segment: number
  readonly offset: number
  readonly sequence: number
  readonly previousCrc: number
}

/** Where the bytes of a frame lie, without the zeros behind them. */
export interface FrameLocation {
  readonly segment: number
  readonly offset: number
  readonly bytes: number
}

/** A record as found in the journal; the value stays there. */
export interface JournalRecord {
  readonly namespace: string
  readonly revision: number
  readonly atMs: number
  readonly body:
    | { readonly kind: 'create' }
    | { readonly kind: 'remove' }
    | { readonly kind: 'delete'; readonly key: string }
    /** Contents that the key had before its latest record, packed as `known-contents.ts` says. */
    | { readonly kind: 'superseded'; readonly key: string; readonly contents: Uint32Array }
    | {
        readonly kind: 'write'
        readonly key: string
        readonly writer: Writer | null
        readonly writerAtS: number | null
        readonly anonymous: boolean
        readonly segment: number
        readonly position: number
        readonly size: number
        readonly crc: number
      }
}

export interface ScanJournalAnswer {
  /** Of each key the latest one of the window, and behind it what the key had before. */
  readonly records: readonly JournalRecord[]
  /** So many were read. */
  readonly recordCount: number
  /** Where the next window starts; also the end of the journal when `end` is not `more`. */
  readonly next: JournalPosition
  /** The last frame of the window; null if it has none. */
  readonly lastFrame: FrameLocation | null
  /** `more`: call again. `clean`: nothing behind it. `torn`: an append was cut off there, nothing acknowledged is behind it. */
  readonly end: 'more' | 'clean' | 'torn' | 'corrupt'
  /** Of the segment in which the journal ends; 0 if it is missing, or when `end` is `more`. */
  readonly segmentBytes: number
  /** Where the damage is, when `end` is `corrupt`. */
  readonly corruptAt: { readonly path: string; readonly offset: number } | null
}

/** Replaces the log of past conflicts. */
export interface SaveConflictsTask {
  readonly kind: 'save-conflicts'
  readonly context: RootContext
  readonly lines: readonly string[]
  readonly atMs: number
}

export interface LoadConflictsTask {
  readonly kind: 'load-conflicts'
  readonly context: RootContext
}

export interface LoadConflictsAnswer extends DoneAnswer {
  /** None where it failed. */
  readonly lines: readonly string[]
}

export type Task =
  | MaterializeTask
  | HeadsTask
  | ReadTask
  | ScanNamespaceTask
  | ListNamespacesTask
  | PrepareSegmentTask
  | RemoveSegmentsTask
  | ScanJournalTask
  | SaveConflictsTask
  | LoadConflictsTask

/** Of a task that only does something. */
export interface DoneAnswer {
  /** Null: it is done. */
  readonly failure: { readonly code: string; readonly message: string } | null
}

export interface TaskAnswers {
  materialize: MaterializeAnswer
  heads: readonly TaskHeadAnswer[]
  read: ReadTaskAnswer
  'scan-namespace': ScanNamespaceAnswer
  'list-namespaces': readonly string[]
  'prepare-segment': DoneAnswer
  'remove-segments': DoneAnswer
  'scan-journal': ScanJournalAnswer
  'save-conflicts': DoneAnswer
  'load-conflicts': LoadConflictsAnswer
}

/** What every scenario can ask of a contestant. A promise of `write` resolves when the write is durable. */
export interface Contestant {
  readonly name: string
  /** What it is, and how it is set up. */
  readonly about: string
  /** A package under `rivals` that it needs. */
  readonly rival?: string
  /** Groups writes itself, in a size that is swept. */
  readonly batched?: boolean
  readonly open: (folder: string, settings: Settings) => Promise<Opened>
}

export interface Settings {
  readonly namespaces: number
  readonly callers: number
  /** The most writes of one group. */
  readonly batch: number
  readonly valueBytes: number
  /** Of agent-state: how much may be missing in the tree; its default where it is left out. */
  readonly backlogBytesMax?: number
}

export interface Opened {
  readonly write: (caller: number, namespace: number, key: string, value: Uint8Array) => unknown
  /** Missing where the contestant only writes. */
  readonly read?: (namespace: number, key: string) => Bytes | null | Promise<Bytes | null>
  /** Everything that was put off is done when it resolves. */
  readonly drain: () => Promise<void>
  readonly close: () => Promise<void>
  /** What its journal, or write-ahead log, takes on the disk; what is kept ready counts too. */
  readonly journalBytes?: () => Promise<number>
}

export type Bytes = Uint8Array

/** What an archive holds, one after the other. */
import type { EntryMetadata, Manifest } from './archive-layout.js'

export type ArchiveItem =
  | { readonly type: 'namespace'; readonly namespace: string }
  | {
      readonly type: 'entry'
      readonly namespace: string
      readonly key: string
      readonly value: Uint8Array
      /** Null if the archive has none of it. */
      readonly metadata: EntryMetadata | null
    }
  /** What can't be imported, and why; it is left out. */
  | { readonly type: 'left-out'; readonly path: string; readonly why: string }
  /** The last one. Null: it was not made by an export. */
  | { readonly type: 'end'; readonly manifest: Manifest | null }

export interface ArchiveReader {
  /** Can be read from the beginning again. */
  readonly canRepeat: boolean
  items(signal: AbortSignal): AsyncIterable<ArchiveItem>
}

/** Stores take 8 MiB by default, and no batch of more than this; no tar header makes us hold more. */
export const ENTRY_BYTES_MAX = 64 * 1024 * 1024

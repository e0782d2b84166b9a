/** What somebody who runs the contract says about his store or backend. */
import type { Defaults, Store } from '../api.js'
import type { Backend } from '../backend/backend.js'
import type { Limits } from '../limits.js'

/** What a store may lack. Each name stands for a few tests, which are then shown as skipped, with the reason. */
export type StoreGapName =
  /** What was acknowledged does not outlast the store object. */
  | 'reopen'
  /** Limits can't be given to `open`. */
  | 'limits'
  /** Names that differ only in case or Unicode normalization can't both exist. */
  | 'distinct-names'
  /** `watch({ afterRevision })` has no past changes to give. */
  | 'watch-history'
  /** No `closed` event is published. */
  | 'closed-event'

export type BackendGapName =
  /** What was committed does not outlast the backend object. */
  | 'reopen'
  /** Names that differ only in case or Unicode normalization can't both exist. */
  | 'distinct-names'

export interface Gap<Name extends string = string> {
  readonly name: Name
  /** Shown behind the title of every test that is skipped because of it. */
  readonly reason: string
}

export type StoreOptions = Defaults & { readonly limits?: Partial<Limits> | undefined }

export interface StoreSetup {
  /** Opens a store on fresh state. Several may be open at once. */
  open(options?: StoreOptions): Promise<Store>
  /** Opens the state of a store that `open` or `reopen` gave and that is closed by now. */
  reopen?(closed: Store, options?: StoreOptions): Promise<Store>
  /** Called once, when every store is closed. */
  cleanup?(): Promise<void> | void
  readonly gaps?: readonly Gap<StoreGapName>[]
}

export interface BackendSetup {
  /** Makes a backend on fresh state; the suite calls its `open`. */
  create(): Promise<Backend> | Backend
  /** Makes a backend on the state of one that `create` or `reopen` gave and that is closed by now. */
  reopen?(closed: Backend): Promise<Backend> | Backend
  /** Called once, when every backend is closed. */
  cleanup?(): Promise<void> | void
  readonly gaps?: readonly Gap<BackendGapName>[]
}

/**
 * Reader answers reads from committed state: from memory where the value is cached, otherwise from the backend. Reads
 * do not go through the mailbox: what is committed when the answer is given is a correct answer (I2).
 *
 * - Keys that are asked for in the same turn of the event loop travel to the backend together.
 * - An answer of the backend counts only if the key's head is still the one it started from; otherwise it is read again.
 * - A file that was changed behind the store's back is noticed here, gets a revision of its own, and is reported. It takes
 *   its place in the order of the namespace between two commits (I3): one that is under way has its revision already.
 */
import type { Backend, Head, HeadAnswer, ReadAnswer, UnreadableHead } from '../backend/backend.js'
import type { AgentStateError } from '../errors.js'
import type { Namespaces } from './namespaces.js'
import type { KeyState, NamespaceState } from './namespace-state.js'
import type { Publisher } from './publisher.js'
import { valueOf } from './value-cache.js'

/** Head and value of one moment. */
export interface Found {
  readonly head: Head
  readonly value: Uint8Array
}

type KnownAnswer = Exclude<HeadAnswer, UnreadableHead>

/** Keys of one question to the backend. */
const BATCH_MAX = 64

/** A key that the backend is about to be asked for. */
class Asked {
  readonly key: string
  readonly answer: Promise<ReadAnswer>
  resolve!: (answer: ReadAnswer) => void
  reject!: (error: unknown) => void

  constructor(key: string) {
    this.key = key
    this.answer = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }
}

export class Reader {
  readonly #backend: Backend
  readonly #namespaces: Namespaces
  readonly #publisher: Publisher
  readonly #asked = new Map<NamespaceState, Map<string, Asked>>()
  /** Reads that memory answered, and those that the backend was asked for. */
  readonly counts = { memory: 0, backend: 0 }
  #scheduled = false

  constructor(backend: Backend, namespaces: Namespaces, publisher: Publisher) {
    this.#backend = backend
    this.#namespaces = namespaces
    this.#publisher = publisher
  }

  /** The answer if it is in memory: null for a missing key, undefined if the backend has to be asked. */
  peek(namespace: string, key: string): Found | null | undefined {
    const state = this.#namespaces.find(namespace)
    if (state === undefined || state.load.status !== 'loaded') return undefined
    const found = inMemory(state, key)
    if (found !== undefined) this.counts.memory++
    return found
  }

  /** For what `peek` has not answered. In one function: each that waits for another one takes half a kilobyte a read. */
  async read(namespace: string, key: string): Promise<Found | null> {
    this.counts.backend++
    const state = this.#namespaces.get(namespace)
    state.users++
    try {
      const loading = this.#namespaces.load(state)
      if (loading !== null) await loading
      for (;;) {
        const known = inMemory(state, key)
        if (known !== undefined) return known
        const keyState = state.key(key)
        const before = keyState.head
        let answer: ReadAnswer
        // It stays in memory meanwhile, so that a change of it can't go unnoticed.
        keyState.pins++
        try {
          answer = await this.#ask(state, key)
          while (state.isCommitting && isFoundChange(keyState, answer.head)) await state.commitEnded()
        } finally {
          keyState.pins--
          this.#namespaces.account(keyState)
        }
        if (!state.names.has(key)) return null
        if (keyState.head === before) return this.#accept(keyState, answer)
      }
    } finally {
      state.users--
      this.#namespaces.trim()
    }
  }

  async head(namespace: string, key: string): Promise<Head | null> {
    return this.#using(namespace, async (state) => {
      for (;;) {
        if (!state.names.has(key)) return null
        const keyState = state.key(key)
        if (keyState.head !== undefined) return keyState.head
        await this.#pinned(keyState, () => this.loadHeads(state, [keyState]))
        const error = keyState.loadError
        keyState.loadError = null
        if (error !== null) throw error
      }
    })
  }

  /** Brings heads into memory that are about to be asked for one by one. What can't be read is told then. */
  async prepareHeads(namespace: string, keys: readonly string[]): Promise<void> {
    await this.#using(namespace, async (state) => {
      const missing: KeyState[] = []
      for (const key of keys) {
        const keyState = state.names.has(key) ? state.key(key) : undefined
        if (keyState !== undefined && keyState.head === undefined) missing.push(keyState)
      }
      if (missing.length === 0) return
      for (const key of missing) key.pins++
      try {
        await this.#loadHeads(state, missing, () => {})
      } finally {
        for (const key of missing) {
          key.pins--
          this.#namespaces.account(key)
        }
      }
    })
  }

  async names(namespace: string): Promise<readonly string[]> {
    return this.#using(namespace, (state) => Promise.resolve(state.names.sorted()))
  }

  /** Looks up heads that are not known yet. A key whose head can't be read gets a `loadError`. */
  loadHeads(state: NamespaceState, keys: readonly KeyState[]): Promise<void> {
    return this.#loadHeads(state, keys, (key, error) => {
      key.loadError = error
    })
  }

  async #loadHeads(
    state: NamespaceState,
    keys: readonly KeyState[],
    failed: (key: KeyState, error: AgentStateError) => void,
  ): Promise<void> {
    const answers = await this.#backend.heads(
      state.name,
      keys.map(({ key }) => key),
    )
    const accept = (key: KeyState, answer: HeadAnswer): void => {
      if (key.head !== undefined) return
      if (answer !== null && 'unreadable' in answer) failed(key, answer.unreadable)
      else this.#setFirstHead(key, answer)
    }
    const gone: KeyState[] = []
    keys.forEach((key, index) => {
      const answer = answers[index] ?? null
      if (answer === null) gone.push(key)
      else accept(key, answer)
    })
    if (gone.length === 0) return
    while (state.isCommitting) await state.commitEnded()
    for (const key of gone) accept(key, null)
  }

  async #using<T>(namespace: string, use: (state: NamespaceState) => Promise<T>): Promise<T> {
    const state = this.#namespaces.get(namespace)
    state.users++
    try {
      const loading = this.#namespaces.load(state)
      if (loading !== null) await loading
      return await use(state)
    } finally {
      state.users--
      this.#namespaces.trim()
    }
  }

  /** Of a key that is as it was when the backend was asked. */
  #accept(key: KeyState, { head: found, value, error }: ReadAnswer): Found | null {
    if (found !== null && 'unreadable' in found) throw found.unreadable
    const head = this.#reconcile(key, found)
    if (error !== undefined) throw error
    if (head === null || value === null) return null
    // Others may have asked for it in the same turn.
    if (key.valuePiece === null) this.#namespaces.setValue(key, value)
    return { head, value }
  }

  /** Brings what is known of the key in line with what was found at its place. */
  #reconcile(key: KeyState, answer: KnownAnswer): Head | null {
    const before = key.head
    if (before === undefined || before === null) return this.#setFirstHead(key, answer)
    const { head: found, corrupt } =
      answer !== null && 'corrupt' in answer ? answer : { head: answer, corrupt: null }
    const wasCorrupt = key.corruptMetadata !== null
    if (found !== null && fingerprintOf(before) === fingerprintOf(found)) {
      // The content is as it was; beside it the metadata may have been damaged meanwhile, or mended.
      key.corruptMetadata = corrupt
      if (!wasCorrupt) this.#warnOfMetadata(key)
      return before
    }
    const revision = this.#backend.allocateRevision()
    if (found === null) {
      this.#namespaces.setDeleted(key, revision, null)
    } else {
      const fingerprint = fingerprintOf(found)
      const head = { ...found, revision, external: true, anonymous: true, fingerprint }
      this.#namespaces.dropValue(key)
      this.#namespaces.setHead(key, corrupt === null ? head : { corrupt, head })
      this.#namespaces.keepFound(key)
      if (!wasCorrupt) this.#warnOfMetadata(key)
    }
    this.#publisher.external(key.namespace.name, key.key, null)
    return key.head ?? null
  }

  #setFirstHead(key: KeyState, answer: KnownAnswer): Head | null {
    if (answer === null) {
      const revision = this.#backend.allocateRevision()
      this.#namespaces.setDeleted(key, revision, null)
      this.#publisher.external(key.namespace.name, key.key, null)
      return null
    }
    this.#namespaces.setHead(key, answer)
    const head = key.head ?? null
    this.#warnOfMetadata(key)
    if (head?.external === true) this.#publisher.external(key.namespace.name, key.key, null)
    return head
  }

  #warnOfMetadata({ key, namespace, corruptMetadata }: KeyState): void {
    if (corruptMetadata === null) return
    const message = `the metadata of key '${key}' in namespace '${namespace.name}' can't be read: ${corruptMetadata}`
    this.#publisher.events.warn('METADATA_CORRUPT', message, namespace.name)
  }

  /** The key stays in memory meanwhile, so that a change of it can't go unnoticed. */
  async #pinned<T>(key: KeyState, act: () => Promise<T>): Promise<T> {
    key.pins++
    try {
      return await act()
    } finally {
      key.pins--
      this.#namespaces.account(key)
    }
  }

  /** Who asks for the same key in the same turn gets the same answer; later it may be another one. */
  #ask(state: NamespaceState, key: string): Promise<ReadAnswer> {
    let keys = this.#asked.get(state)
    if (keys === undefined) {
      keys = new Map()
      this.#asked.set(state, keys)
    }
    let asked = keys.get(key)
    if (asked === undefined) {
      asked = new Asked(key)
      keys.set(key, asked)
    }
    if (!this.#scheduled) {
      this.#scheduled = true
      setImmediate(() => this.#askAll())
    }
    return asked.answer
  }

  #askAll(): void {
    this.#scheduled = false
    const all = [...this.#asked]
    this.#asked.clear()
    for (const [namespace, keys] of all) {
      const list = [...keys.values()]
      for (let i = 0; i < list.length; i += BATCH_MAX) {
        void this.#askBackend(namespace, list.slice(i, i + BATCH_MAX))
      }
    }
  }

  async #askBackend(state: NamespaceState, list: readonly Asked[]): Promise<void> {
    try {
      const keys = list.map(({ key }) => key)
      const answers = await this.#backend.read(state.name, keys)
      list.forEach((asked, index) => asked.resolve(answers[index]!))
    } catch (error) {
      for (const asked of list) asked.reject(error)
    }
  }
}

/** Null for a missing key, undefined for one whose value is not in memory. */
function inMemory({ names, keys }: NamespaceState, key: string): Found | null | undefined {
  if (!names.has(key)) return null
  const state = keys.get(key)
  if (state === undefined || state.head == null) return undefined
  const value = valueOf(state)
  if (value === undefined) return undefined
  state.isValueUsed = true
  return { head: state.head, value }
}

/** What was found at the place of the key is not what is known of it: it gets a revision of its own. */
function isFoundChange({ head: before }: KeyState, answer: HeadAnswer): boolean {
  if (answer === null) return true
  if (before == null || 'unreadable' in answer) return false
  return fingerprintOf(before) !== fingerprintOf('corrupt' in answer ? answer.head : answer)
}

/** What tells one state of an entry from another: a found one's own revision is the store's, not that of its place. */
function fingerprintOf(head: Head): string {
  return head.fingerprint ?? `revision ${head.revision}`
}

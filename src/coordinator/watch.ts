/**
 * Watch owns one iterator over the changes of a namespace. It subscribes when it is made, so nothing that happens from
 * then on is missed; what is there already (`initial`, `afterRevision`) is put in front of it.
 *
 * - Items come in commit order; after an item in front with revision r, changes of that key up to r are left out.
 * - At the bound of its buffer the watch fails with `WATCH_OVERFLOW` after what is buffered: a gap is never silent (I9).
 *   `lastRevision` is the last one of which every change was buffered, so a watch after it leaves nothing out.
 */
import type { Change, WatchItem, WatchOptions } from '../api.js'
import { BoundedIterator } from '../bounded-iterator.js'
import type { Coordinator } from './coordinator.js'
import { AgentStateError, stateError } from '../errors.js'
import { changedBy } from './namespace-state.js'

/** Heads that are looked up in one go for the items in front. */
const HEADS_AHEAD = 64

type ChangeItem = { readonly type: 'change' } & Change

/** A watch that can also be ended from outside. */
export interface WatchIterable extends AsyncIterableIterator<WatchItem, undefined> {
  /** Ends after what is buffered. */
  end(): void
}

/** `bufferMax`: changes that may wait to be taken. */
export function watch(
  coordinator: Coordinator,
  namespace: string,
  options: WatchOptions,
  bufferMax: number,
): WatchIterable {
  coordinator.checkOpen()
  return new Watch(coordinator, namespace, options, bufferMax)
}

class Watch implements WatchIterable {
  readonly #coordinator: Coordinator
  readonly #namespace: string
  readonly #options: WatchOptions
  readonly #bufferMax: number
  readonly #changes: BoundedIterator<ChangeItem>
  readonly #front: AsyncGenerator<WatchItem, undefined>
  /** Revision of each key as it was put in front. */
  readonly #reported = new Map<string, number>()
  /** Changes after `afterRevision`, as far as they were known when the watch was made; what is thrown is kept as well. */
  readonly #past: () => readonly Change[] | null
  #frontDone = false
  /** The two last different revisions that were buffered. */
  #bufferedRevision = 0
  #wholeRevision = 0
  #unsubscribe: () => void = () => {}

  constructor(coordinator: Coordinator, namespace: string, options: WatchOptions, bufferMax: number) {
    this.#coordinator = coordinator
    this.#namespace = namespace
    this.#options = options
    this.#bufferMax = bufferMax
    this.#changes = new BoundedIterator<ChangeItem>(
      bufferMax,
      { onClose: () => this.#unsubscribe() },
      options.signal,
    )
    if (options.signal?.aborted !== true) this.#subscribe()
    this.#past = this.#takePast(options.afterRevision)
    this.#front = this.#whatIsThere()
  }

  async next(): Promise<IteratorResult<WatchItem, undefined>> {
    if (!this.#frontDone) {
      const item = await this.#nextOfFront()
      if (item !== null) return item
      this.#endFront()
    }
    return this.#changes.next()
  }

  end(): void {
    this.#changes.end()
  }

  async return(): Promise<IteratorResult<WatchItem, undefined>> {
    await this.#front.return(undefined)
    this.#endFront()
    return this.#changes.return()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** Null when there is nothing more; closing the store ends a watch, it is no error. */
  async #nextOfFront(): Promise<IteratorResult<WatchItem, undefined> | null> {
    try {
      const item = await this.#front.next()
      return item.done === true ? null : item
    } catch (error) {
      if (AgentStateError.is(error, 'STORE_CLOSED')) return null
      // Whoever reads with a loop does not come back after an error.
      await this.#changes.return()
      throw error
    }
  }

  /**
   * Leaves out what was given in front, at once, so that whoever asks for an item keeps his place. None of it comes later: a
   * change is published in the turn in which its head is there to be found.
   */
  #endFront(): void {
    if (this.#frontDone) return
    this.#frontDone = true
    this.#changes.keep(({ key, revision }) => revision > (this.#reported.get(key) ?? 0))
    this.#reported.clear()
  }

  #subscribe(): void {
    const unpin = this.#coordinator.pin(this.#namespace)
    const unsubscribe = this.#coordinator.publisher.subscribe(this.#namespace, {
      changed: (change) => this.#changed(change),
      end: () => this.#changes.end(),
    })
    this.#unsubscribe = () => {
      this.#unsubscribe = () => {}
      unsubscribe()
      unpin()
    }
  }

  #changed(change: Change): void {
    const { prefix } = this.#options
    if (change.revision !== this.#bufferedRevision) {
      this.#wholeRevision = this.#bufferedRevision
      this.#bufferedRevision = change.revision
    }
    if (prefix !== undefined && !change.key.startsWith(prefix)) return
    if (this.#changes.push({ type: 'change', ...change })) return
    const max = this.#bufferMax
    this.#changes.fail(
      stateError('WATCH_OVERFLOW', `a watch of namespace '${this.#namespace}' fell ${max} changes behind`, {
        namespace: this.#namespace,
        lastRevision: Math.max(this.#wholeRevision, this.#options.afterRevision ?? 0),
      }),
    )
  }

  /** The past at the time of the call, or what it throws; null: the namespace is not loaded yet. */
  #takePast(afterRevision: number | undefined): () => readonly Change[] | null {
    if (afterRevision === undefined) return () => []
    try {
      const past = this.#coordinator.history(this.#namespace, afterRevision)
      return () => past
    } catch (error) {
      return () => {
        throw error
      }
    }
  }

  async *#whatIsThere(): AsyncGenerator<WatchItem, undefined> {
    const { afterRevision, initial } = this.#options
    if (afterRevision !== undefined) yield* this.#history(afterRevision)
    if (initial === true) yield* this.#initial()
    return undefined
  }

  async *#history(afterRevision: number): AsyncGenerator<WatchItem> {
    const { prefix, signal } = this.#options
    for (const change of await this.#loadPast(afterRevision, signal)) {
      signal?.throwIfAborted()
      if (prefix !== undefined && !change.key.startsWith(prefix)) continue
      this.#reported.set(change.key, change.revision)
      yield { type: 'change', ...change }
    }
  }

  async #loadPast(afterRevision: number, signal: AbortSignal | undefined): Promise<readonly Change[]> {
    const past = this.#past()
    if (past !== null) return past
    await this.#coordinator.exists(this.#namespace, signal)
    return this.#coordinator.history(this.#namespace, afterRevision) ?? []
  }

  async *#initial(): AsyncGenerator<WatchItem> {
    const { prefix, signal } = this.#options
    await this.#coordinator.exists(this.#namespace, signal)
    // Before the names: what is committed between the two is given as a change, and has a later revision.
    const last = this.#coordinator.lastRevision(this.#namespace)
    const names = await this.#coordinator.names(this.#namespace, signal)
    const keys = names.filter((key) => prefix === undefined || key.startsWith(prefix))
    for (let i = 0; i < keys.length; i += HEADS_AHEAD) {
      const ahead = keys.slice(i, i + HEADS_AHEAD)
      if (ahead.length > 1) await this.#coordinator.prepareHeads(this.#namespace, ahead, signal)
      for (const key of ahead) {
        const head = await this.#coordinator.head(this.#namespace, key, signal)
        if (head === null) continue
        const { revision } = head
        const writer = changedBy(head)
        this.#reported.set(key, revision)
        yield { type: 'initial', namespace: this.#namespace, key, kind: 'write', revision, writer }
      }
    }
    yield { type: 'ready', revision: last }
  }
}

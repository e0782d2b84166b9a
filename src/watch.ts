/**
 * Watch owns one iterator over the changes of a namespace. It subscribes when it is made, so nothing that happens from
 * then on is missed; what is there already (`initial`, `afterRevision`) is put in front of it.
 *
 * - Items come in commit order; after an `initial` item with revision r, changes of that key up to r are left out.
 * - At the bound of its buffer the watch fails with `WATCH_OVERFLOW` after what is buffered: a gap is never silent (I9).
 */
import type { Change, WatchItem, WatchOptions } from './api.js'
import { BoundedIterator } from './bounded-iterator.js'
import type { Coordinator } from './coordinator/coordinator.js'
import { AgentStateError, stateError } from './errors.js'

type WatchIterable = AsyncIterableIterator<WatchItem, undefined>

export function watch(coordinator: Coordinator, namespace: string, options: WatchOptions): WatchIterable {
  coordinator.checkOpen()
  return new Watch(coordinator, namespace, options)
}

class Watch implements WatchIterable {
  readonly #coordinator: Coordinator
  readonly #namespace: string
  readonly #options: WatchOptions
  readonly #changes: BoundedIterator<WatchItem>
  readonly #front: AsyncGenerator<WatchItem, undefined>
  /** Revision of each key as it was put in front; not needed any more once a later change has come. */
  readonly #reported = new Map<string, number>()
  #frontDone = false
  #lastRevision = 0
  #unsubscribe: () => void = () => {}

  constructor(coordinator: Coordinator, namespace: string, options: WatchOptions) {
    this.#coordinator = coordinator
    this.#namespace = namespace
    this.#options = options
    this.#changes = new BoundedIterator<WatchItem>(
      coordinator.limits.eventBufferMax,
      { onClose: () => this.#unsubscribe() },
      options.signal,
    )
    if (options.signal?.aborted !== true) this.#subscribe()
    this.#front = this.#whatIsThere()
  }

  async next(): Promise<IteratorResult<WatchItem, undefined>> {
    if (!this.#frontDone) {
      const item = await this.#nextOfFront()
      if (item !== null) return item
      this.#frontDone = true
    }
    for (;;) {
      const item = await this.#changes.next()
      if (item.done || item.value.type !== 'change') return item
      const { key, revision } = item.value
      const reported = this.#reported.get(key)
      if (reported !== undefined && revision <= reported) continue
      if (revision > this.#lastRevision) this.#reported.clear()
      this.#lastRevision = revision
      return item
    }
  }

  async return(): Promise<IteratorResult<WatchItem, undefined>> {
    this.#frontDone = true
    await this.#front.return(undefined)
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
      throw error
    }
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
    if (prefix !== undefined && !change.key.startsWith(prefix)) return
    if (this.#changes.push({ type: 'change', ...change })) return
    const max = this.#coordinator.limits.eventBufferMax
    this.#changes.fail(
      stateError('WATCH_OVERFLOW', `a watch of namespace '${this.#namespace}' fell ${max} changes behind`, {
        namespace: this.#namespace,
        lastRevision: this.#lastRevision,
      }),
    )
  }

  async *#whatIsThere(): AsyncGenerator<WatchItem, undefined> {
    const { afterRevision, initial } = this.#options
    if (afterRevision !== undefined) yield* this.#history(afterRevision)
    if (initial === true) yield* this.#initial()
    return undefined
  }

  async *#history(afterRevision: number): AsyncGenerator<WatchItem> {
    const { prefix, signal } = this.#options
    const { compacted } = await this.#coordinator.revisions(this.#namespace, signal)
    if (afterRevision < compacted) {
      await this.#changes.return()
      throw stateError(
        'REVISION_COMPACTED',
        `changes up to revision ${compacted} are not in memory any more`,
        {
          namespace: this.#namespace,
          oldestRevision: compacted,
        },
      )
    }
    for (const change of this.#coordinator.publisher.history(this.#namespace, afterRevision)) {
      if (prefix !== undefined && !change.key.startsWith(prefix)) continue
      this.#report(change.key, change.revision)
      yield { type: 'change', ...change }
    }
  }

  async *#initial(): AsyncGenerator<WatchItem> {
    const { prefix, signal } = this.#options
    const names = await this.#coordinator.names(this.#namespace, signal)
    const { last } = await this.#coordinator.revisions(this.#namespace, signal)
    for (const key of [...names]) {
      if (prefix !== undefined && !key.startsWith(prefix)) continue
      const head = await this.#coordinator.head(this.#namespace, key, signal)
      if (head === null) continue
      const { revision, writer } = head
      this.#report(key, revision)
      yield { type: 'initial', namespace: this.#namespace, key, kind: 'write', revision, writer }
    }
    yield { type: 'ready', revision: last }
  }

  #report(key: string, revision: number): void {
    this.#reported.set(key, revision)
    if (revision > this.#lastRevision) this.#lastRevision = revision
  }
}

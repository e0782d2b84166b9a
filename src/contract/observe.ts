/** Waiting for what a store does, without ever waiting for time to pass. */
import type { EventMap, Events, Filter } from '../api.js'
import type { AgentStateError as StateError, Code } from '../errors.js'
import { AgentStateError } from '../errors.js'

/** What `act` throws or rejects with. Fails if it does neither. */
export async function failureOf(act: () => unknown): Promise<unknown> {
  try {
    await act()
  } catch (error) {
    return error
  }
  throw new Error('expected a failure, but the call succeeded')
}

/** The error of the given code that `act` fails with. Any other end is passed on. */
export async function refusal<C extends Code>(code: C, act: () => unknown): Promise<StateError<C>> {
  const error = await failureOf(act)
  if (AgentStateError.is(error, code)) return error
  throw new Error(`expected an error with code ${code}, got: ${describeError(error)}`, { cause: error })
}

/** The `TypeError` or `RangeError` that `act` fails with. Any other end is passed on. */
export async function misuse(act: () => unknown): Promise<TypeError | RangeError> {
  const error = await failureOf(act)
  if (error instanceof TypeError || error instanceof RangeError) return error
  throw new Error(`expected a TypeError or a RangeError, got: ${describeError(error)}`, { cause: error })
}

function describeError(error: unknown): string {
  if (AgentStateError.is(error)) return `${error.code}: ${error.message}`
  return String(error)
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = []
  for await (const item of items) collected.push(item)
  return collected
}

/** Reads from an iterator until `enough` says so, leaving the iterator open. Fails if it ends before. */
export async function takeUntil<T>(
  iterator: AsyncIterator<T>,
  enough: (items: readonly T[]) => boolean,
): Promise<T[]> {
  const items: T[] = []
  while (!enough(items)) {
    const next = await iterator.next()
    if (next.done === true) throw new Error(`the iteration ended after ${items.length} items`)
    items.push(next.value)
  }
  return items
}

export function take<T>(iterator: AsyncIterator<T>, count: number): Promise<T[]> {
  return takeUntil(iterator, (items) => items.length >= count)
}

export function iteratorOf<T>(items: AsyncIterable<T>): AsyncIterator<T> {
  return items[Symbol.asyncIterator]()
}

export interface Recording<E> {
  /** What arrived so far, in order. */
  readonly items: readonly E[]
  /** Resolves with all items as soon as one of them satisfies `wanted`. */
  until(wanted: (item: E) => boolean): Promise<readonly E[]>
  stop(): void
}

/** Subscribes and keeps what arrives. */
export function record<T extends keyof EventMap>(
  events: Events,
  type: T,
  filter?: Filter,
): Recording<EventMap[T]> {
  const items: EventMap[T][] = []
  const waiting = new Set<() => void>()
  const stop = events.on(
    type,
    (event) => {
      items.push(event)
      for (const check of waiting) check()
    },
    filter,
  )
  const until = (wanted: (item: EventMap[T]) => boolean): Promise<readonly EventMap[T][]> =>
    new Promise((resolve) => {
      const check = (): void => {
        if (!items.some(wanted)) return
        waiting.delete(check)
        resolve(items)
      }
      waiting.add(check)
      check()
    })
  return { items, until, stop }
}

export interface Deferred<T> {
  readonly promise: Promise<T>
  resolve(value: T): void
  reject(error: unknown): void
}

/** `Promise.withResolvers`, which Node 20 lacks. */
export function deferred<T = void>(): Deferred<T> {
  let resolve!: (value: T) => void
  let reject!: (error: unknown) => void
  const promise = new Promise<T>((onValue, onError) => {
    resolve = onValue
    reject = onError
  })
  return { promise, resolve, reject }
}

/** Lets everything else run that waits: an observer that only awaits answered promises would keep it from running. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/**
 * Whether a history of concurrent calls has one order that explains all answers and that no caller could tell from what
 * happened. Revisions say in which order the changes took effect, so there is nothing to search: a read of revision r
 * took place somewhere between the change r and the next change of its key, and no call that began after another one
 * had ended may come before it.
 */
interface Call {
  readonly key: string
  /** Of a write or delete: its own. Of a read: what it found; null if the key was missing. */
  readonly revision: number | null
  /** Moments of a clock that every call and every answer moves on by one. */
  readonly start: number
  readonly end: number
}

export type RecordedOperation = Call & { readonly kind: 'read' | 'write' | 'delete' }

export class History {
  readonly operations: RecordedOperation[] = []
  #clock = 0

  async read(key: string, act: () => Promise<number | null>): Promise<void> {
    await this.#record('read', [key], act)
  }

  async write(keys: readonly string[], act: () => Promise<number | null>): Promise<void> {
    await this.#record('write', keys, act)
  }

  /** A deletion of what is missing is recorded as the read that it is. */
  async delete(keys: readonly string[], act: () => Promise<number | null>): Promise<void> {
    await this.#record('delete', keys, act)
  }

  async #record(
    kind: RecordedOperation['kind'],
    keys: readonly string[],
    act: () => Promise<number | null>,
  ): Promise<void> {
    const start = this.#clock++
    const revision = await act()
    const end = this.#clock++
    for (const key of keys) {
      this.operations.push({ kind: revision === null ? 'read' : kind, key, revision, start, end })
    }
  }
}

interface Interval {
  readonly from: number
  /** The next change of the key: not included. */
  readonly to: number
}

/** Throws where the history has no such order. */
export function checkLinearizable(operations: readonly RecordedOperation[]): void {
  const intervals = intervalsOf(operations)
  const byEnd = [...operations].sort((one, two) => one.end - two.end)
  let ended = 0
  /** No call that begins now can take effect before this revision. */
  let floor = 0
  const effects = new Map<RecordedOperation, number>()
  for (const operation of [...operations].sort((one, two) => one.start - two.start)) {
    for (; byEnd[ended] !== undefined && byEnd[ended]!.end < operation.start; ended += 1) {
      floor = Math.max(floor, effects.get(byEnd[ended]!)!)
    }
    effects.set(operation, effectOf(operation, floor, intervals))
  }
  checkFuture(operations)
}

function effectOf(operation: RecordedOperation, floor: number, intervals: Map<string, Interval[]>): number {
  const { kind, key, revision } = operation
  if (kind !== 'read') {
    if (revision! < floor) throw new Error(`writes out of order: ${describe(operation)} began after ${floor}`)
    return revision!
  }
  const found = intervals.get(`${key} ${revision}`) ?? (revision === null ? [{ from: 0, to: Infinity }] : [])
  const possible = found.find((interval) => interval.to > floor)
  if (possible === undefined) throw new Error(`stale read: ${describe(operation)} began after ${floor}`)
  return Math.max(possible.from, floor)
}

/** When each state of each key was true; the missing state can have been true several times. */
function intervalsOf(operations: readonly RecordedOperation[]): Map<string, Interval[]> {
  const changes = operations
    .filter(({ kind }) => kind !== 'read')
    .sort((one, two) => one.revision! - two.revision!)
  const last = new Map<string, { readonly from: number; readonly revision: number | null }>()
  const intervals = new Map<string, Interval[]>()
  const end = (key: string, to: number): void => {
    const { from, revision } = last.get(key) ?? { from: 0, revision: null }
    const name = `${key} ${revision}`
    intervals.set(name, [...(intervals.get(name) ?? []), { from, to }])
  }
  for (const { kind, key, revision } of changes) {
    end(key, revision!)
    last.set(key, { from: revision!, revision: kind === 'delete' ? null : revision })
  }
  for (const key of last.keys()) end(key, Infinity)
  return intervals
}

/** Nobody reads what is not written until later. */
function checkFuture(operations: readonly RecordedOperation[]): void {
  const starts = new Map<string, number>()
  for (const { kind, key, revision, start } of operations)
    if (kind === 'write') starts.set(`${key} ${revision}`, start)
  for (const operation of operations) {
    const { kind, key, revision, end } = operation
    if (kind !== 'read' || revision === null) continue
    const start = starts.get(`${key} ${revision}`)
    if (start === undefined || start > end) throw new Error(`read from the future: ${describe(operation)}`)
  }
}

function describe({ kind, key, revision, start, end }: RecordedOperation): string {
  return `${kind} of ${key} at revision ${revision} (from ${start} to ${end})`
}

/**
 * History owns what was asked of a store and what it answered. From that follows what a store that is opened after a
 * crash may hold: per namespace everything that was acknowledged, and of what was still under way the first so many
 * requests (I3: one order), each of them whole (I4).
 */
import type { KeyChange, Step } from './workload.js'

export type Change = Extract<Step, { readonly kind: 'create' | 'remove' | 'change' }>

/**
 * `asked`: no answer yet. `acknowledged`: it must be there. `refused`: it must not be there. `unknown`: the store said
 * so, and either is right.
 */
export type Standing = 'asked' | 'acknowledged' | 'refused' | 'unknown'

/** One request. */
export class Unit {
  readonly change: Change
  readonly number: number
  /** When it was asked for and acknowledged, counted as the caller of `History` counts. */
  readonly askedAt: number
  acknowledgedAt = Infinity
  /** From when on the files had to show it, or a later one of the same keys. */
  inTreeAt = Infinity
  standing: Standing = 'asked'
  /** What the answer said; null: nothing was changed by it, or that is not known. */
  revision: number | null = null

  constructor(change: Change, number: number, askedAt: number) {
    this.change = change
    this.number = number
    this.askedAt = askedAt
  }

  toString(): string {
    const { kind, namespace } = this.change
    const keys = this.change.kind === 'change' ? ` ${describeChanges(this.change.changes)}` : ''
    return `#${this.number} ${kind} ${namespace}${keys} (${this.standing}, revision ${this.revision})`
  }
}

export interface KeyState {
  readonly value: string
  /** The last named writer. */
  readonly writer: string | null
  /** Who wrote it. */
  readonly unit: Unit
}

/** What one namespace holds. */
export interface NamespaceState {
  readonly exists: boolean
  readonly keys: ReadonlyMap<string, KeyState>
  /** The last request that this is the outcome of; null: none yet. */
  readonly last: Unit | null
}

const NOTHING: NamespaceState = { exists: false, keys: new Map(), last: null }

interface NamespacePast {
  settled: NamespaceState
  /** What was asked for since. */
  units: Unit[]
  /** All that was ever asked for. */
  readonly all: Unit[]
}

export class History {
  readonly #clock: () => number
  readonly #namespaces = new Map<string, NamespacePast>()
  readonly #values = new Map<string, Set<string>>()
  #count = 0
  /** The highest revision that anybody was told of. */
  revisionMax = 0
  /** When the store was closed, with everything in the tree; Infinity: it was not, or was opened again. */
  #closedAt = Infinity

  constructor(clock: () => number = () => 0) {
    this.#clock = clock
  }

  ask(change: Change): Unit {
    const unit = new Unit(change, this.#count++, this.#clock())
    const past = this.#namespace(change.namespace)
    past.units.push(unit)
    past.all.push(unit)
    if (change.kind !== 'change') return unit
    for (const { key, value } of change.changes) {
      if (value !== null) this.#valuesOf(change.namespace, key).add(value)
    }
    return unit
  }

  acknowledged(unit: Unit, revision: number | null): void {
    unit.standing = 'acknowledged'
    unit.revision ??= revision
    unit.acknowledgedAt = Math.min(unit.acknowledgedAt, this.#clock())
    this.#told(revision)
  }

  /** Everything that was acknowledged so far. */
  acknowledgedUnits(): Unit[] {
    const all = [...this.#namespaces.values()].flatMap((past) => past.all)
    return all.filter(({ standing }) => standing === 'acknowledged')
  }

  /** The files show these, durably. */
  inTree(units: Iterable<Unit>): void {
    for (const unit of units) unit.inTreeAt = Math.min(unit.inTreeAt, this.#clock())
  }

  /** The store was closed, and said that everything is in the tree. */
  closed(): void {
    this.inTree(this.acknowledgedUnits())
    this.#closedAt = this.#clock()
  }

  opening(): void {
    this.#closedAt = Infinity
  }

  get isClosed(): boolean {
    return this.#closedAt !== Infinity
  }

  /** What the files may show of a key before any recovery; null: nothing. Undefined: whatever it was ever given. */
  shownInTree(namespace: string, key: string): ReadonlySet<string | null> | undefined {
    const touching = this.#namespace(namespace).all.filter(
      (unit) => !isRefused(unit) && effectOn(unit, key) !== undefined,
    )
    const floor = touching.findLastIndex(({ inTreeAt }) => inTreeAt !== Infinity)
    if (floor === -1) return undefined
    return new Set(touching.slice(floor).map((unit) => effectOn(unit, key)!))
  }

  refused(unit: Unit): void {
    unit.standing = 'refused'
  }

  unknown(unit: Unit, revision: number | null): void {
    unit.standing = 'unknown'
    unit.revision = revision
    this.#told(revision)
  }

  /** Somebody saw the value of a key, so it has to be there from now on (I2). */
  seen(namespace: string, key: string, value: string): void {
    const unit = this.#namespace(namespace).units.findLast(
      ({ change, standing }) =>
        standing !== 'refused' &&
        change.kind === 'change' &&
        change.changes.some((one) => one.key === key && one.value === value),
    )
    if (unit === undefined) return
    unit.acknowledgedAt = Math.min(unit.acknowledgedAt, this.#clock())
  }

  /** Requests that may or may not have taken effect. */
  uncertain(): Unit[] {
    const all = [...this.#namespaces.values()].flatMap(({ units }) => units)
    return all.filter(({ standing, acknowledgedAt }) => standing !== 'refused' && acknowledgedAt === Infinity)
  }

  get namespaces(): string[] {
    return [...this.#namespaces.keys()]
  }

  /** Keys that were ever given a value. */
  keys(namespace: string): string[] {
    const start = `${namespace}/`
    return [...this.#values.keys()]
      .filter((name) => name.startsWith(start))
      .map((name) => name.slice(start.length))
  }

  /** Every value that a key was ever given. */
  values(namespace: string, key: string): ReadonlySet<string> {
    return this.#values.get(`${namespace}/${key}`) ?? new Set()
  }

  /**
   * What a namespace may hold after a crash at the given time. The first one has nothing but what had to be there, each
   * later one has one more request.
   */
  candidates(namespace: string, at = Infinity): NamespaceState[] {
    const { settled, units } = this.#namespace(namespace)
    const asked = units.filter((unit) => unit.askedAt <= at && !isRefused(unit))
    const certain = asked.findLastIndex((unit) => isCertain(unit, at))
    let state = settled
    const candidates: NamespaceState[] = []
    asked.forEach((unit, index) => {
      if (index > certain) candidates.push(state)
      state = applyUnit(state, unit)
    })
    candidates.push(state)
    return candidates
  }

  /** From here on this is what the namespace holds; what else was asked for has not happened. */
  settle(namespace: string, state: NamespaceState): void {
    this.#namespace(namespace).settled = state
    this.#namespace(namespace).units.length = 0
  }

  /** What every namespace holds, once everything was answered with certainty. */
  state(): ReadonlyMap<string, NamespaceState> {
    return new Map(this.namespaces.map((namespace) => [namespace, this.candidates(namespace).at(-1)!]))
  }

  /** The same past with another future, seen from the given time on. */
  fork(clock: () => number = this.#clock, at = Infinity): History {
    const fork = new History(clock)
    fork.#count = this.#count
    fork.revisionMax = this.revisionMax
    for (const [key, values] of this.#values) fork.#values.set(key, new Set(values))
    if (this.isClosed && this.#closedAt <= at) fork.#closedAt = -1
    for (const [namespace, { settled, units, all }] of this.#namespaces) {
      const past = new Map(all.filter((unit) => unit.askedAt <= at).map((unit) => [unit, unitAt(unit, at)]))
      const open = units.flatMap((unit) => past.get(unit) ?? [])
      fork.#namespaces.set(namespace, { settled, units: open, all: [...past.values()] })
    }
    return fork
  }

  #told(revision: number | null): void {
    if (revision !== null && revision > this.revisionMax) this.revisionMax = revision
  }

  #namespace(name: string): NamespacePast {
    let found = this.#namespaces.get(name)
    if (found === undefined) this.#namespaces.set(name, (found = { settled: NOTHING, units: [], all: [] }))
    return found
  }

  #valuesOf(namespace: string, key: string): Set<string> {
    const name = `${namespace}/${key}`
    let found = this.#values.get(name)
    if (found === undefined) this.#values.set(name, (found = new Set()))
    return found
  }
}

function isRefused(unit: Unit): boolean {
  return unit.standing === 'refused'
}

/** An `unknown` one was never acknowledged, whenever that was said. */
function isCertain(unit: Unit, at: number): boolean {
  return unit.acknowledgedAt !== Infinity && unit.acknowledgedAt <= at
}

/** As it stood at a time: the answer may not have come yet. All times are in the past for what follows. */
function unitAt(unit: Unit, at: number): Unit {
  const past = new Unit(unit.change, unit.number, -1)
  past.standing = unit.standing
  past.revision = unit.revision
  if (unit.inTreeAt !== Infinity && unit.inTreeAt <= at) past.inTreeAt = -1
  if (isCertain(unit, at)) past.acknowledgedAt = -1
  else if (unit.standing === 'acknowledged') past.standing = 'asked'
  return past
}

/** The value that a request gives a key, null if it deletes it; undefined if it does not touch it. */
function effectOn({ change }: Unit, key: string): string | null | undefined {
  if (change.kind === 'create') return undefined
  if (change.kind === 'remove') return null
  return change.changes.find((one) => one.key === key)?.value
}

/** What the store would make of a request: one that can't be carried out changes nothing. */
export function applyUnit(state: NamespaceState, unit: Unit): NamespaceState {
  const { change } = unit
  const unchanged = { ...state, last: unit }
  if (change.kind === 'create') return { ...unchanged, exists: true }
  if (change.kind === 'remove') return { exists: false, keys: new Map(), last: unit }
  if (!state.exists) return unchanged
  const keys = new Map(state.keys)
  const before = state.keys
  for (const { key, value } of change.changes) if (value === null) keys.delete(key)
  for (const { key, value } of change.changes) {
    if (value === null) continue
    if (!before.has(key) && isBlocked(keys, key)) return unchanged
    const writer = change.writer ?? before.get(key)?.writer ?? null
    keys.set(key, { value, writer, unit })
  }
  return { exists: true, keys, last: unit }
}

/** A path can't be both a file and a directory (I7). */
function isBlocked(keys: ReadonlyMap<string, unknown>, key: string): boolean {
  for (const other of keys.keys()) {
    if (other.startsWith(`${key}/`) || key.startsWith(`${other}/`)) return true
  }
  return false
}

function describeChanges(changes: readonly KeyChange[]): string {
  return changes
    .map(({ key, value }) => (value === null ? `-${key}` : `${key}=${value.length} bytes`))
    .join(', ')
}

/**
 * Random work for a store, as plain data: it is carried out in this process or in another one, and the history of what
 * was asked for and acknowledged tells afterwards what must be there.
 */
import type { Durability } from '../../../src/api.js'
import type { Random } from './random.js'

/** `value: null` deletes the key. */
export interface KeyChange {
  readonly key: string
  readonly value: string | null
}

export type Step =
  | { readonly kind: 'create'; readonly namespace: string }
  | { readonly kind: 'remove'; readonly namespace: string }
  | {
      readonly kind: 'change'
      readonly namespace: string
      /** Null: an anonymous session. */
      readonly writer: string | null
      readonly durability: Durability
      /** One alone is a plain write or delete, several are a batch. */
      readonly changes: readonly KeyChange[]
    }
  | { readonly kind: 'read'; readonly namespace: string; readonly key: string }
  | { readonly kind: 'flush' }
  /** Waits until everything asked for so far has been answered. */
  | { readonly kind: 'pause' }

export interface WorkloadSettings {
  readonly steps: number
  readonly namespaces: number
  /** Part of the writes whose value is so large that few fill a segment of the journal. */
  readonly largeShare: number
  /** Of the other values; they are drawn from the usual sizes. Default: all of these. */
  readonly valueBytesMax?: number
}

/**
 * Files and directories that exchange places (`a` and `a/b`), keys whose metadata clash (`a` and `a.json/x`), and names
 * that lie in one directory.
 */
const KEYS = [
  'a',
  'a/b',
  'a/b/c',
  'a.json/x',
  'notes/one',
  'notes/two',
  'notes/deep/er/three',
  'plan',
] as const
const WRITERS = [null, 'planner', 'critic'] as const
const LARGE_BYTES = 700_000

/** Namespaces are created first; then anything may come. `first` is the number of the first step. */
export function randomWorkload(random: Random, settings: WorkloadSettings, first = 0): Step[] {
  const names = Array.from({ length: settings.namespaces }, (_, index) => `agent-${index}`)
  const steps: Step[] = names.map((namespace) => ({ kind: 'create', namespace }))
  steps.push({ kind: 'pause' })
  while (steps.length < settings.steps) steps.push(randomStep(random, names, first + steps.length, settings))
  return steps
}

/** One thing after the other: makes, fills and empties directories, and may fill a segment of the journal. */
export function orderlyWorkload(namespace: string, largeValues = 6): Step[] {
  const steps: Step[] = [{ kind: 'create', namespace }]
  const change = (...changes: KeyChange[]): void => {
    steps.push({ kind: 'change', namespace, writer: 'clerk', durability: 'tree', changes }, { kind: 'pause' })
  }
  steps.push({ kind: 'pause' })
  change({ key: 'in/some/directory', value: 'first' }, { key: 'beside', value: 'it' })
  change({ key: 'in/some/directory', value: 'second' })
  change({ key: 'in/some/directory', value: null })
  for (let part = 0; part < largeValues; part++) {
    change({ key: 'large', value: `part ${part}\n`.padEnd(LARGE_BYTES, '.') })
  }
  change({ key: 'in/another/directory', value: 'third' }, { key: 'beside', value: null })
  return steps
}

/** The same steps with more pauses, so that the journal gets many small groups instead of few large ones. */
export function paused(random: Random, steps: readonly Step[], share = 0.5): Step[] {
  return steps.flatMap((step) => (random.chance(share) ? [step, { kind: 'pause' } as const] : [step]))
}

function randomStep(
  random: Random,
  names: readonly string[],
  number: number,
  settings: WorkloadSettings,
): Step {
  const namespace = random.pick(names)
  const kind = random.below(100)
  if (kind < 10) return { kind: 'pause' }
  if (kind < 14) return { kind: 'flush' }
  if (kind < 20) return { kind: 'read', namespace, key: random.pick(KEYS) }
  if (kind < 23) return { kind: 'remove', namespace }
  if (kind < 29) return { kind: 'create', namespace }
  return {
    kind: 'change',
    namespace,
    writer: random.pick(WRITERS),
    durability: random.chance(0.1) ? 'tree' : 'journal',
    changes: randomChanges(random, number, settings),
  }
}

function randomChanges(random: Random, number: number, settings: WorkloadSettings): KeyChange[] {
  const count = random.chance(0.7) ? 1 : random.between(2, 4)
  return random
    .shuffled(KEYS)
    .slice(0, count)
    .map((key) => ({ key, value: random.chance(0.3) ? null : valueOf(random, key, number, settings) }))
}

/** Tells of itself where it belongs, and no two are the same. */
function valueOf(random: Random, key: string, number: number, settings: WorkloadSettings): string {
  const head = `${key} as step ${number} wrote it\n`
  const { largeShare, valueBytesMax = Infinity } = settings
  const drawn = random.chance(largeShare) ? LARGE_BYTES : random.pick([0, 0, 40, 600, 5000, 20_000])
  const size = drawn > valueBytesMax ? 0 : drawn
  return head + `${number} `.repeat(Math.ceil(size / 4)).slice(0, size)
}

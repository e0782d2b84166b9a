/** Random sequences of what agents do with a store, and their arbitraries for fast-check. */
import fc from 'fast-check'
import type { ConflictPolicy, ConflictRule } from '../../src/api.js'

/** Which revision a step names: resolved against the model when the step is run. */
export type RevisionChoice = 'none' | 'current' | 'missing' | 'old' | 'never'

export interface StepOperation {
  readonly key: string
  readonly value: string | null
  readonly ifRevision: RevisionChoice
  readonly seenRevision: RevisionChoice
}

export interface StepOptions {
  readonly conflictPolicy: ConflictPolicy | undefined
  readonly detect: ConflictRule | undefined
}

export type Step =
  | {
      readonly do: 'change'
      readonly session: number
      readonly operation: StepOperation
      readonly options: StepOptions
    }
  | {
      readonly do: 'batch'
      readonly session: number
      readonly operations: readonly StepOperation[]
      readonly options: StepOptions
    }
  | {
      readonly do: 'update'
      readonly session: number
      readonly key: string
      readonly next: 'append' | 'delete' | 'keep'
      readonly options: StepOptions
    }
  | {
      readonly do: 'read'
      readonly session: number
      readonly key: string
      readonly how: 'read' | 'bytes' | 'entry' | 'stat'
    }
  | { readonly do: 'entries'; readonly session: number; readonly prefix: string }
  | { readonly do: 'with'; readonly session: number; readonly writer: string | null }
  | { readonly do: 'remove' }
  | { readonly do: 'init' }
  | { readonly do: 'flush' }
  | { readonly do: 'reopen'; readonly flush: boolean }

export const KEYS = ['a', 'b', 'a/b', 'a/b/c', 'a.json', 'a.json/b', '__proto__', 'ü', 'c/d', 'c/e'] as const

const key = fc.constantFrom(...KEYS)
const session = fc.nat({ max: 4 })
const value = fc.oneof(
  { weight: 6, arbitrary: fc.string({ unit: 'grapheme', maxLength: 12 }) },
  { weight: 1, arbitrary: fc.nat({ max: 70_000 }).map((length) => 'x'.repeat(length)) },
)
const choice: fc.Arbitrary<RevisionChoice> = fc.oneof(
  { weight: 6, arbitrary: fc.constant('none' as const) },
  { weight: 2, arbitrary: fc.constant('current' as const) },
  { weight: 1, arbitrary: fc.constantFrom('missing' as const, 'old' as const, 'never' as const) },
)
const operation: fc.Arbitrary<StepOperation> = fc.record({
  key,
  value: fc.oneof({ weight: 3, arbitrary: value }, { weight: 1, arbitrary: fc.constant(null) }),
  ifRevision: choice,
  seenRevision: choice,
})
const options: fc.Arbitrary<StepOptions> = fc.record({
  conflictPolicy: fc.constantFrom(undefined, undefined, 'ignore' as const, 'error' as const),
  detect: fc.constantFrom(undefined, undefined, 'lost-update' as const, 'writer-change' as const),
})

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constant('change' as const), session, operation, options }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('batch' as const),
      session,
      operations: fc.uniqueArray(operation, { selector: (one) => one.key, maxLength: 5 }),
      options,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('update' as const),
      session,
      key,
      next: fc.constantFrom('append' as const, 'append' as const, 'delete' as const, 'keep' as const),
      options,
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('read' as const),
      session,
      key,
      how: fc.constantFrom('read' as const, 'bytes' as const, 'entry' as const, 'stat' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('entries' as const),
      session,
      prefix: fc.constantFrom('', 'a', 'c/'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('with' as const),
      session,
      writer: fc.constantFrom('ann', 'ben', null),
    }),
  },
  { weight: 1, arbitrary: fc.constantFrom<Step>({ do: 'flush' }, { do: 'init' }, { do: 'remove' }) },
  { weight: 1, arbitrary: fc.boolean().map((flush): Step => ({ do: 'reopen', flush })) },
)

export const steps: fc.Arbitrary<readonly Step[]> = fc.array(step, {
  minLength: 1,
  maxLength: 60,
  size: 'max',
})

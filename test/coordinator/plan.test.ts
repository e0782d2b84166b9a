import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Conflict, ConflictPolicy, ConflictRule, Writer } from '../../src/api.js'
import type { Head } from '../../src/backend/backend.js'
import { NamespaceState, type KeyState } from '../../src/coordinator/namespace-state.js'
import { Names } from '../../src/coordinator/names.js'
import { plan, settledConflict, settledRevision, type PlannedRequests } from '../../src/coordinator/plan.js'
import { Request } from '../../src/coordinator/request.js'
import type { ChangeTerms, RequestBody, RequestedOperation } from '../../src/requests.js'
import { TERMS } from './coordinated.js'

const FIRST_REVISION = 100
const AT_MS = 1_700_000_000_999
const ann: Writer = { writerId: 'ann' }
const ben: Writer = { writerId: 'ben' }

function headOf(revision: number, writer: Writer | null = null): Head {
  const common = { external: false, size: 1, updatedAtMs: 1 }
  return { revision, writer, writerAtS: writer === null ? null : 1, anonymous: writer === null, ...common }
}

class Given {
  readonly state = new NamespaceState('n')
  namespaceKeysMax = 1000
  isShared = false

  constructor(heads: Readonly<Record<string, Head>> = {}, fold: ((name: string) => string) | null = null) {
    this.state.exists = true
    this.state.names = new Names(Object.keys(heads), fold)
    this.state.load = { status: 'loaded' }
    for (const [key, head] of Object.entries(heads)) this.state.key(key).head = head
  }

  plan(...bodies: RequestBody[]): PlannedRequests {
    const requests = bodies.map((body) => {
      const request = new Request(
        body,
        0,
        null,
        () => {},
        () => {},
      )
      if (body.kind === 'change') {
        request.states = body.operations.map(({ key }): KeyState => this.state.key(key))
      }
      return request
    })
    const { exists, names } = this.state
    const { namespaceKeysMax, isShared } = this
    return plan({ namespace: 'n', exists, names, namespaceKeysMax, isShared }, requests, AT_MS)
  }
}

type Condition = Partial<Pick<RequestedOperation, 'ifRevision' | 'seen'>>

function write(key: string, condition: Condition = {}): RequestedOperation {
  return {
    kind: 'write',
    key,
    value: Buffer.from('v'),
    size: 1,
    ifRevision: undefined,
    seen: undefined,
    ...condition,
  }
}

function remove(key: string, condition: Condition = {}): RequestedOperation {
  return { kind: 'delete', key, ifRevision: undefined, seen: undefined, ...condition }
}

function change(
  operations: RequestedOperation | RequestedOperation[],
  terms: Partial<ChangeTerms> = {},
): RequestBody {
  const list = Array.isArray(operations) ? operations : [operations]
  return {
    kind: 'change',
    operations: list,
    single: !Array.isArray(operations),
    terms: { ...TERMS, ...terms },
  }
}

function errorOf(planned: PlannedRequests, index: number): Record<string, unknown> {
  const decision = planned.decisions[index]!
  if (decision.kind !== 'refused') throw new Error(`decision ${index} is '${decision.kind}', no refusal`)
  return decision.error(FIRST_REVISION) as unknown as Record<string, unknown>
}

describe('planning', () => {
  test('a request is decided on what those before it in the plan leave behind', () => {
    const planned = new Given().plan(
      change(write('k')),
      change(write('k', { ifRevision: null })),
      change(remove('k')),
      change(write('k', { ifRevision: null })),
    )
    expect(planned.decisions.map(({ kind }) => kind)).toEqual(['change', 'refused', 'change', 'change'])
    expect(planned.units.length).toBe(3)
    expect(errorOf(planned, 1)).toMatchObject({ code: 'REVISION_MISMATCH', actualRevision: 100, key: 'k' })
  })

  test('the revision that a plan assigns is no revision that a caller can name', () => {
    const planned = new Given().plan(change(write('k')), change(write('k', { ifRevision: 1 })))
    expect(errorOf(planned, 1)).toMatchObject({ actualRevision: FIRST_REVISION })
    expect(settledRevision(-1, 100)).toBe(100)
    expect(settledRevision(-3, 100)).toBe(102)
    expect(settledRevision(7, 100)).toBe(7)
    expect(settledRevision(null, 100)).toBeNull()
  })

  test('a conflict with a write of the same plan names its true revision', () => {
    const planned = new Given().plan(
      change(write('other')),
      change(write('k'), { writer: ann }),
      change(write('k'), { writer: ben, conflictPolicy: 'error' }),
    )
    const error = errorOf(planned, 2)
    expect(error).toMatchObject({ code: 'CONFLICT', conflict: { previous: ann, previousRevision: 101 } })
    expect(error.message).toBe(
      "agent_state.write: key 'k' was previously written by 'ann' and is now being written by 'ben'",
    )
  })

  test('a namespace that is not there takes no change, until it is made', () => {
    const given = new Given()
    given.state.exists = false
    const planned = given.plan(change(write('k')), { kind: 'create' }, { kind: 'create' }, change(write('k')))
    expect(errorOf(planned, 0)).toMatchObject({ code: 'NAMESPACE_NOT_FOUND', outcome: 'unchanged' })
    expect(planned.units.map(({ kind }) => kind)).toEqual(['create', 'change'])
    expect(planned.decisions.slice(1, 3)).toEqual([
      { kind: 'create', unit: 0 },
      { kind: 'create', unit: null },
    ])
  })

  test('behind a removal nothing of the namespace is there, whatever was committed', () => {
    const given = new Given({ k: headOf(5, ben), 'd/x': headOf(6) })
    const planned = given.plan(
      { kind: 'remove' },
      { kind: 'remove' },
      change(write('k')),
      { kind: 'create' },
      change(write('k', { ifRevision: null }), {
        writer: ann,
        conflictPolicy: 'error',
        detect: 'writer-change',
      }),
      change(write('d')),
      change(remove('d/x')),
    )
    expect(planned.decisions.map(({ kind }) => kind)).toEqual([
      'remove',
      'remove',
      'refused',
      'create',
      'change',
      'change',
      'change',
    ])
    expect(planned.units.map(({ kind }) => kind)).toEqual(['remove', 'create', 'change', 'change'])
    expect(planned.decisions.at(-1)).toMatchObject({ unit: null })
  })

  test('deleting what is not there is no change and no conflict', () => {
    const planned = new Given().plan(
      change(remove('k', { seen: 4 }), { writer: ann, conflictPolicy: 'error' }),
      change(remove('k', { ifRevision: null })),
      change(remove('k', { ifRevision: 3 })),
    )
    expect(planned.units).toEqual([])
    expect(planned.decisions.slice(0, 2)).toMatchObject([{ unit: null }, { unit: null }])
    expect(errorOf(planned, 2)).toMatchObject({ code: 'REVISION_MISMATCH', actualRevision: null })
  })

  test('an anonymous write keeps the identity of the last named writer; a named one replaces it whole', () => {
    const given = new Given({ k: headOf(5, ben) })
    const planned = given.plan(
      change(write('k')),
      change(write('k'), { writer: { writerId: 'ann', stageId: 's' } }),
      change(write('k')),
    )
    const written = planned.decisions.map((decision) =>
      decision.kind === 'change' ? decision.operations[0]!.change : null,
    )
    expect(written).toMatchObject([
      { writer: ben, writerAtS: 1, anonymous: true },
      { writer: { writerId: 'ann', stageId: 's' }, writerAtS: 1_700_000_000, anonymous: false },
      { writer: { writerId: 'ann', stageId: 's' }, writerAtS: 1_700_000_000, anonymous: true },
    ])
  })

  test('metadata that can not be read blocks a write, unless it is repaired; a delete is the way out', () => {
    const given = new Given({ k: headOf(5) })
    given.state.key('k').corruptMetadata = '/meta/k.json'
    expect(errorOf(given.plan(change(write('k'))), 0)).toMatchObject({
      code: 'METADATA_CORRUPT',
      path: '/meta/k.json',
      key: 'k',
    })
    const planned = given.plan(change(write('k'), { repairMetadata: true }), change(write('k')))
    expect(planned.decisions.map(({ kind }) => kind)).toEqual(['change', 'change'])
    expect(given.plan(change(remove('k')), change(write('k'))).units.length).toBe(2)
  })

  test('the revisions that a plan rests on, for a backend that others change too, are those that are committed', () => {
    const given = new Given({ a: headOf(5), b: headOf(6) })
    given.isShared = true
    const planned = given.plan(
      change(write('a')),
      change(write('a')),
      change([write('new'), remove('b')]),
      change(write('refused', { ifRevision: 1 })),
    )
    expect(planned.expected).toEqual(
      new Map([
        ['a', 5],
        ['new', null],
        ['b', 6],
        ['refused', null],
      ]),
    )
  })
})

describe('a batch', () => {
  test('is refused as a whole, and its error says where; one operation by itself has no index', () => {
    const given = new Given({ k: headOf(5, ben) })
    const condition = change([write('a'), write('b', { ifRevision: 3 })])
    const conflict = change([write('a'), write('k')], { writer: ann, conflictPolicy: 'error' })
    const planned = given.plan(
      condition,
      conflict,
      change(write('k'), { writer: ann, conflictPolicy: 'error' }),
    )
    expect(planned.units).toEqual([])
    expect(errorOf(planned, 0)).toMatchObject({ code: 'REVISION_MISMATCH', index: 1, key: 'b' })
    expect(errorOf(planned, 1)).toMatchObject({ code: 'CONFLICT', index: 1, key: 'k' })
    expect(errorOf(planned, 2)).not.toHaveProperty('index')
  })

  test('all its conflicts are reported, whether it is refused or not', () => {
    const given = new Given({ a: headOf(5, ben), b: headOf(6, ben), c: headOf(7, ann) })
    const operations = [write('a'), remove('b'), write('c'), write('new')]
    const [refused, accepted] = [
      given.plan(change(operations, { writer: ann, conflictPolicy: 'error' })).decisions[0]!,
      given.plan(change(operations, { writer: ann, conflictPolicy: 'ignore' })).decisions[0]!,
    ]
    const keys = (conflicts: readonly (Conflict | null)[]): unknown[] =>
      conflicts.map((found) => found?.key ?? null)
    expect(refused.kind === 'refused' && keys(refused.conflicts)).toEqual(['a', 'b'])
    expect(accepted.kind === 'change' && keys(accepted.operations.map(({ conflict }) => conflict))).toEqual([
      'a',
      'b',
      null,
      null,
    ])
  })

  test('a file can become a directory in one batch, and the other way round, whatever the order', () => {
    const given = new Given({ file: headOf(5), 'dir/a': headOf(6), 'dir/b': headOf(7) })
    const planned = given.plan(
      change([write('file/x'), remove('file')]),
      change([write('dir'), remove('dir/a'), remove('dir/b')]),
    )
    expect(planned.decisions.map(({ kind }) => kind)).toEqual(['change', 'change'])
  })

  test("I7: its own keys can be in each other's way; a refused one leaves no trace", () => {
    const given = new Given({ 'dir/a': headOf(6) })
    const planned = given.plan(
      change([write('x'), write('x/y')]),
      change([remove('dir/a'), write('dir'), write('dir/b')]),
      change(write('x/y')),
      change(write('dir/b')),
      change(write('dir')),
    )
    expect(errorOf(planned, 0)).toMatchObject({ code: 'KEY_BLOCKED', key: 'x/y', by: 'x' })
    expect(errorOf(planned, 1)).toMatchObject({ code: 'KEY_BLOCKED', key: 'dir/b', by: 'dir' })
    expect(planned.decisions.slice(2, 4).map(({ kind }) => kind)).toEqual(['change', 'change'])
    expect(errorOf(planned, 4)).toMatchObject({ code: 'KEY_BLOCKED', key: 'dir' })
  })

  test('I9: a namespace takes no more keys than its bound; what is replaced or deleted makes room', () => {
    const given = new Given({ a: headOf(5), b: headOf(6) })
    given.namespaceKeysMax = 2
    const planned = given.plan(
      change(write('a')),
      change(write('c')),
      change([remove('b'), write('c')]),
      change([write('d'), remove('c')]),
      change([write('e'), write('f'), remove('a')]),
    )
    expect(errorOf(planned, 1)).toMatchObject({ code: 'LIMIT_EXCEEDED', limit: 'namespaceKeysMax', max: 2 })
    expect(planned.decisions.slice(2, 4).map(({ kind }) => kind)).toEqual(['change', 'change'])
    expect(errorOf(planned, 4)).toMatchObject({ code: 'LIMIT_EXCEEDED' })
  })

  test('I7: where the medium folds names, another spelling is refused and named', () => {
    const fold = (name: string): string => name.toLowerCase()
    const given = new Given({ 'Docs/a': headOf(5) }, fold)
    const planned = given.plan(
      change(write('docs/b')),
      change(write('Docs/b')),
      change(write('.AGENT_STATE_META')),
      { kind: 'remove' },
      { kind: 'create' },
      change([write('readme'), write('README')]),
      change(write('docs/b')),
    )
    expect(errorOf(planned, 0)).toMatchObject({ code: 'KEY_BLOCKED', by: 'Docs' })
    expect(planned.decisions[1]!.kind).toBe('change')
    expect(errorOf(planned, 2)).toMatchObject({ by: '.agent_state_meta' })
    expect(errorOf(planned, 5)).toMatchObject({ key: 'README', by: 'readme' })
    expect(planned.decisions[6]!.kind).toBe('change')
  })
})

// What a plan does is what its requests do one after the other, each with a revision of its own.

interface ModelKey {
  readonly revision: number | null
  readonly identity: Writer | null
  readonly changedBy: Writer | null
}

type Outcome = string

class Model {
  keys = new Map<string, ModelKey>()
  exists = true
  next = FIRST_REVISION

  run(body: RequestBody): Outcome {
    if (body.kind !== 'change') {
      const hasChanged = this.exists !== (body.kind === 'create')
      this.exists = body.kind === 'create'
      if (body.kind === 'remove') {
        // Who deleted a key before is still known.
        for (const [key, { revision }] of this.keys) if (revision !== null) this.keys.delete(key)
      }
      return `${body.kind} ${hasChanged ? this.next++ : 'nothing'}`
    }
    if (!this.exists) return 'NAMESPACE_NOT_FOUND'
    const { operations, terms } = body
    const found = operations.map(
      ({ key }) => this.keys.get(key) ?? { revision: null, identity: null, changedBy: null },
    )
    for (const [index, { ifRevision }] of operations.entries()) {
      if (ifRevision !== undefined && ifRevision !== found[index]!.revision) return 'REVISION_MISMATCH'
    }
    const conflicts = operations.map((operation, index) => this.conflict(operation, terms, found[index]!))
    const first = conflicts.find((each) => each !== null)
    if (terms.conflictPolicy === 'error' && first != null) return `CONFLICT ${first}`
    return this.apply(operations, terms, found) ?? `changed ${JSON.stringify(conflicts)}`
  }

  conflict(operation: RequestedOperation, terms: ChangeTerms, key: ModelKey): string | null {
    const { writer } = terms
    if (writer === null || (operation.kind === 'delete' && key.revision === null)) return null
    const told = (previous: Writer | null): string => `${previous?.writerId ?? 'nobody'} at ${key.revision}`
    if (terms.detect === 'lost-update' && operation.seen !== undefined) {
      const isOwn = key.changedBy?.writerId === writer.writerId
      return key.revision === operation.seen || isOwn ? null : told(key.changedBy)
    }
    return key.identity === null || key.identity.writerId === writer.writerId ? null : told(key.identity)
  }

  apply(
    operations: readonly RequestedOperation[],
    { writer }: ChangeTerms,
    found: ModelKey[],
  ): Outcome | null {
    const after = new Map(this.keys)
    const gone = { revision: null, identity: null, changedBy: writer }
    let changes = 0
    operations.forEach(({ kind, key }, index) => {
      if (kind !== 'delete' || found[index]!.revision === null) return
      after.set(key, gone)
      changes++
    })
    operations.forEach(({ kind, key }, index) => {
      if (kind !== 'write') return
      const identity = writer ?? found[index]!.identity
      after.set(key, { revision: this.next, identity, changedBy: writer })
      changes++
    })
    const live = [...after].filter(([, { revision }]) => revision !== null).map(([key]) => key)
    if (live.some((key) => live.some((other) => other.startsWith(`${key}/`)))) return 'KEY_BLOCKED'
    if (changes === 0) return null
    this.keys = after
    this.next++
    return null
  }
}

const keys = fc.constantFrom('a', 'b', 'a/x', 'a/x/y', 'c')
const writers = fc.constantFrom(null, ann, ben)
/** None that the plan will assign: nobody can have seen those. */
const revisions = fc.constantFrom(undefined, null, 5, 6, 7)
const operation: fc.Arbitrary<RequestedOperation> = fc
  .record({
    kind: fc.constantFrom('write' as const, 'delete' as const),
    key: keys,
    ifRevision: fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, revisions),
    seen: revisions,
  })
  .map(({ kind, key, ...condition }) => (kind === 'write' ? write(key, condition) : remove(key, condition)))
const terms = fc.record({
  writer: writers,
  conflictPolicy: fc.constantFrom<ConflictPolicy>('ignore', 'warn', 'error'),
  detect: fc.constantFrom<ConflictRule>('lost-update', 'writer-change'),
})
const body: fc.Arbitrary<RequestBody> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('create' as const, 'remove' as const) }) },
  { weight: 8, arbitrary: fc.tuple(operation, terms).map(([one, how]) => change(one, how)) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.uniqueArray(operation, { selector: ({ key }) => key, minLength: 1, maxLength: 4 }), terms)
      .map(([list, how]) => change(list, how)),
  },
)

/** What the decision comes to, as the model tells it. */
function outcomeOf(decision: PlannedRequests['decisions'][number]): Outcome {
  const told = (conflict: Conflict | null): string | null => {
    if (conflict === null) return null
    const { previous, previousRevision } = settledConflict(conflict, FIRST_REVISION)
    return `${previous?.writerId ?? 'nobody'} at ${previousRevision}`
  }
  if (decision.kind === 'refused') {
    const error = decision.error(FIRST_REVISION)
    return error.code === 'CONFLICT' ? `CONFLICT ${told(error.conflict)}` : error.code
  }
  if (decision.kind === 'change') {
    return `changed ${JSON.stringify(decision.operations.map(({ conflict }) => told(conflict)))}`
  }
  return `${decision.kind} ${decision.unit === null ? 'nothing' : FIRST_REVISION + decision.unit}`
}

test('I3: a plan decides as if its requests were committed one after the other', () => {
  const committed = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.tuple(fc.constantFrom(5, 6), writers))
  fc.assert(
    fc.property(committed, fc.array(body, { maxLength: 12 }), (entries, bodies) => {
      const heads = Object.fromEntries(
        Object.entries(entries).map(([key, [revision, writer]]) => [key, headOf(revision, writer)]),
      )
      const model = new Model()
      for (const [key, head] of Object.entries(heads)) {
        model.keys.set(key, { revision: head.revision, identity: head.writer, changedBy: head.writer })
      }
      const planned = new Given(heads).plan(...bodies)
      expect(planned.decisions.map(outcomeOf)).toEqual(bodies.map((each) => model.run(each)))
      expect(planned.units.length).toBe(model.next - FIRST_REVISION)
    }),
    { numRuns: 2000 },
  )
})

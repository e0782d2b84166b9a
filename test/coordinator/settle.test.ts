import { describe, expect, test } from 'vitest'
import type { Conflict, Writer } from '../../src/api.js'
import type { Backend } from '../../src/backend/backend.js'
import { NamespaceState } from '../../src/coordinator/namespace-state.js'
import { CommitCounts } from '../../src/coordinator/commit-counts.js'
import { Namespaces } from '../../src/coordinator/namespaces.js'
import { Names } from '../../src/coordinator/names.js'
import { plan } from '../../src/coordinator/plan.js'
import { Publisher } from '../../src/coordinator/publisher.js'
import { valueOf } from '../../src/coordinator/value-cache.js'
import { Request } from '../../src/coordinator/request.js'
import type { ChangeTerms, RequestBody, RequestedOperation } from '../../src/requests.js'
import { SeenKeys } from '../../src/seen-keys.js'
import { settle, type SettleContext } from '../../src/coordinator/settle.js'
import { EventBus } from '../../src/event-bus.js'
import { DEFAULT_LIMITS } from '../../src/limits.js'
import { bytesOf, deleteOf, TERMS, writeOf } from './coordinated.js'

const ann: Writer = { writerId: 'ann' }
const ben: Writer = { writerId: 'ben' }

/** A namespace in memory, and everything that is told of it, in order. */
function given() {
  const namespaces = new Namespaces({} as Backend, DEFAULT_LIMITS, () => true)
  const state = namespaces.get('n')
  state.exists = true
  state.load = { status: 'loaded' }
  state.names = new Names([], null)
  const bus = new EventBus(10)
  const publisher = new Publisher(bus, 100, { add: () => {} })
  const told: unknown[] = []
  bus.on('change', ({ key, kind, revision, writer }) => told.push([kind, key, revision, writer?.writerId]))
  bus.on('conflict', ({ key, outcome, revision, previousRevision, policy }) =>
    told.push(['conflict', key, outcome, revision, previousRevision, policy]),
  )
  return { namespaces, state, publisher, told, next: 10 }
}

interface Asked {
  readonly body: RequestBody
  readonly seen?: SeenKeys
}

/** Plans, has everything committed, and settles; the answers, or what is thrown. */
function run(made: ReturnType<typeof given>, ...asked: Asked[]): unknown[] {
  const { namespaces, state, publisher } = made
  const requests = asked.map(({ body, seen }) => {
    const request = new Request(
      body,
      0,
      seen ?? null,
      () => {},
      () => {},
    )
    if (body.kind === 'change') request.states = body.operations.map(({ key }) => state.key(key))
    return request
  })
  const view = {
    namespace: 'n',
    exists: state.exists,
    names: state.names,
    namespaceKeysMax: 100,
    isShared: false,
  }
  const { units, decisions } = plan(view, requests, 1_700_000_000_500)
  const context: SettleContext = {
    namespaces,
    publisher,
    counts: new CommitCounts(),
    state,
    atMs: 1_700_000_000_500,
    firstRevision: made.next,
  }
  made.next += units.length
  return decisions.map((decision, index) => {
    try {
      return settle(context, requests[index]!, decision)
    } catch (error) {
      return error
    }
  })
}

function change(
  operations: readonly RequestedOperation[],
  terms: Partial<ChangeTerms> = {},
  seen?: SeenKeys,
): Asked {
  const body = {
    kind: 'change',
    operations,
    single: operations.length === 1,
    terms: { ...TERMS, ...terms },
  } as const
  return seen === undefined ? { body } : { body, seen }
}

describe('settling', () => {
  test('applies a change to what is in memory, tells the subscribers, and gives the results', () => {
    const made = given()
    const [answer] = run(made, change([writeOf('a', 'v'), writeOf('b', 'w')], { writer: ann }))
    expect(answer).toEqual([
      { key: 'a', revision: 10, conflict: null },
      { key: 'b', revision: 10, conflict: null },
    ])
    expect(valueOf(made.state.key('a'))).toEqual(bytesOf('v'))
    expect(made.state.key('a')).toMatchObject({
      head: {
        revision: 10,
        writer: ann,
        writerAtS: 1_700_000_000,
        anonymous: false,
        external: false,
        size: 1,
        updatedAtMs: 1_700_000_000_500,
      },
    })
    expect(made.told).toEqual([
      ['write', 'a', 10, 'ann'],
      ['write', 'b', 10, 'ann'],
    ])
    const [deleted] = run(
      made,
      change([deleteOf('a'), deleteOf('missing')], { writer: ben, detect: 'writer-change' }),
    )
    expect(deleted).toMatchObject([
      { key: 'a', deleted: true, revision: 11, conflict: { previous: ann, previousRevision: 10 } },
      { key: 'missing', deleted: false, revision: null, conflict: null },
    ])
    expect(made.state.names.sorted()).toEqual(['b'])
    expect(made.told.slice(2)).toEqual([
      ['delete', 'a', 11, 'ben'],
      ['conflict', 'a', 'deleted', 11, 10, 'ignore'],
    ])
  })

  test('every unit of a plan has its own revision, and a conflict inside of the plan names the true one', () => {
    const made = given()
    const terms = { detect: 'writer-change', conflictPolicy: 'warn' } as const
    made.publisher.events.on('warning', () => {})
    const answers = run(
      made,
      change([writeOf('other')]),
      change([writeOf('k')], { writer: ann, ...terms }),
      change([writeOf('k')], { writer: ben, ...terms }),
    ) as { revision: number; conflict: Conflict | null }[][]
    expect(answers.flat().map(({ revision, conflict }) => [revision, conflict?.previousRevision])).toEqual([
      [10, undefined],
      [11, undefined],
      [12, 11],
    ])
    expect(made.told.at(-1)).toEqual(['conflict', 'k', 'written', 12, 11, 'warn'])
  })

  test('a refused change changes nothing; its conflicts are told, its error is thrown', () => {
    const made = given()
    run(made, change([writeOf('a'), writeOf('b')], { writer: ben }))
    made.told.length = 0
    const terms = { writer: ann, detect: 'writer-change', conflictPolicy: 'error' } as const
    const seen = new SeenKeys(10)
    const [error] = run(made, change([writeOf('a', 'new'), writeOf('b', 'new'), writeOf('c')], terms, seen))
    expect(error).toMatchObject({ code: 'CONFLICT', key: 'a', index: 0 })
    expect(made.told).toEqual([
      ['conflict', 'a', 'refused', null, 10, 'error'],
      ['conflict', 'b', 'refused', null, 10, 'error'],
    ])
    expect([valueOf(made.state.key('a')), made.state.names.has('c'), seen.get('a')]).toEqual([
      new Uint8Array(0),
      false,
      undefined,
    ])
  })

  test('what was changed counts as seen, a key that was found missing too', () => {
    const made = given()
    const seen = new SeenKeys(10)
    run(made, change([writeOf('a')], { writer: ann }, seen))
    run(made, change([deleteOf('a'), deleteOf('b'), writeOf('c')], { writer: ann }, seen))
    expect(['a', 'b', 'c', 'd'].map((key) => seen.get(key))).toEqual([null, null, 11, undefined])
  })

  test('a removal tells of every key, with one revision and without a writer', () => {
    const made = given()
    run(made, change([writeOf('b')], { writer: ann }), change([writeOf('a')]))
    made.told.length = 0
    expect(run(made, { body: { kind: 'remove' } }, { body: { kind: 'remove' } })).toEqual([true, false])
    expect(made.told).toEqual([
      ['delete', 'a', 12, undefined],
      ['delete', 'b', 12, undefined],
    ])
    expect([made.state.exists, made.state.names.count]).toEqual([false, 0])
    expect(run(made, { body: { kind: 'create' } }, { body: { kind: 'create' } })).toEqual([true, false])
    expect(made.state.exists).toBe(true)
  })

  test('what is read while subscribers are told is the new state', () => {
    const made = given()
    const values: unknown[] = []
    made.publisher.events.on('change', ({ key }) =>
      values.push(valueOf(made.state.key(key)), made.state.names.has(key)),
    )
    run(made, change([writeOf('a', 'v'), writeOf('b', 'w')]))
    expect(values).toEqual([bytesOf('v'), true, bytesOf('w'), true])
  })

  test('a state of another namespace is not touched', () => {
    const made = given()
    const other = new NamespaceState('m')
    run(made, change([writeOf('a')]))
    expect(other.names.count).toBe(0)
  })
})

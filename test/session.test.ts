import { describe, expect, expectTypeOf, test } from 'vitest'
import type { Defaults, DeleteResult, Operation, WriteOptions, WriteResult } from '../src/api.js'
import { collect, failureOf, refusal } from '../src/contract/observe.js'
import type { RequestAnswer, RequestBody } from '../src/requests.js'
import type { SeenKeys } from '../src/seen-keys.js'
import { DEFAULT_LIMITS, type Limits } from '../src/limits.js'
import { BASE_DEFAULTS, resolveDefaults } from '../src/options.js'
import { SessionHandle } from '../src/session.js'
import { ByteSlab } from '../src/byte-slab.js'
import type { FoundEntry, SessionHost, UpdateStep } from '../src/store-host.js'

interface Submitted {
  readonly body: RequestBody
  readonly bytes: number
  readonly seen: SeenKeys | null
  readonly signal: AbortSignal | undefined
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function entry(value: string | Uint8Array, revision = 5): FoundEntry {
  const bytes = Buffer.from(value as string)
  const head = { revision, writer: null, size: bytes.length, updatedAtMs: 1, external: false }
  return { head, value: bytes }
}

/** A session over a host that is a test's. */
function given(defaults: Defaults = {}, limits: Partial<Limits> = {}) {
  const submitted: Submitted[] = []
  const asked: { key: string; signal: AbortSignal | undefined }[] = []
  const stored = new Map<string, FoundEntry>()
  const updates: { key: string; step: UpdateStep; signal: AbortSignal | undefined }[] = []
  let revision = 10
  const host: SessionHost = {
    limits: { ...DEFAULT_LIMITS, ...limits },
    slab: new ByteSlab(),
    checkOpen: () => {},
    checkWriter: () => {},
    submit: async (_, body, bytes, seen, signal): Promise<RequestAnswer> => {
      submitted.push({ body, bytes, seen, signal })
      if (body.kind !== 'change') return true
      revision++
      const results = body.operations.map(({ key }) => ({ key, revision, conflict: null }))
      return body.single ? results[0]! : results
    },
    read: (_, key, signal) => {
      asked.push({ key, signal })
      return Promise.resolve(stored.get(key) ?? null)
    },
    head: (_, key, signal) => {
      asked.push({ key, signal })
      return Promise.resolve(stored.get(key)?.head ?? null)
    },
    list: () => Promise.resolve([...stored.keys()]),
    update: (_, key, signal, step) => {
      updates.push({ key, step, signal })
      return Promise.resolve(null)
    },
    watch: () => {
      throw new Error('nobody watches here')
    },
  }
  const context = { host, namespace: 'n', root: '/root', now: () => 1_700_000_000_000 }
  const session = new SessionHandle(context, resolveDefaults(BASE_DEFAULTS, defaults))
  return { session, submitted, asked, stored, updates }
}

function operationsOf({ body }: Submitted): readonly { readonly key: string; readonly seen?: unknown }[] {
  return body.kind === 'change' ? body.operations : []
}

function termsOf({ body }: Submitted): unknown {
  return body.kind === 'change' ? body.terms : null
}

const named = { writer: { writerId: 'ann' } }

describe('what a session asks for', () => {
  test('keys are normalized, values are taken over when it is called', async () => {
    const { session, submitted } = given()
    const bytes = new Uint8Array([1])
    const writing = session.write('./a//b', bytes)
    bytes.fill(9)
    await writing
    await session.delete('a/')
    await session.writeJson('j', { a: 1 })
    expect(submitted.map(operationsOf)).toMatchObject([
      [{ kind: 'write', key: 'a/b', value: new Uint8Array([1]), size: 1 }],
      [{ kind: 'delete', key: 'a' }],
      [{ kind: 'write', key: 'j', value: utf8('{\n  "a": 1\n}\n') }],
    ])
    expect(submitted.map(({ bytes: count }) => count)).toEqual([1, 0, 13])
  })

  test('the narrowest setting counts: of the call, of the session, of the store', async () => {
    const { session, submitted, asked } = given({ conflictPolicy: 'warn', durability: 'tree' })
    const [wide, narrow] = [new AbortController().signal, new AbortController().signal]
    const inner = session.with({ conflictPolicy: 'error', signal: wide, ...named })
    await inner.write('k', '')
    await inner.write('k', '', { conflictPolicy: 'ignore', detect: 'writer-change', signal: narrow })
    await session.write('k', '')
    await inner.read('k')
    await inner.stat('k', { signal: narrow })
    expect(submitted.map(termsOf)).toMatchObject([
      { conflictPolicy: 'error', durability: 'tree', writer: { writerId: 'ann' }, signal: wide },
      { conflictPolicy: 'ignore', durability: 'tree', detect: 'writer-change', signal: narrow },
      { conflictPolicy: 'warn', durability: 'tree', writer: null },
    ])
    expect(asked.map(({ signal }) => signal)).toEqual([wide, narrow])
  })

  test('misuse is told before anything is asked for', async () => {
    const { session, submitted, asked, updates } = given()
    const misuses: (() => unknown)[] = [
      () => session.write('k', 1 as never),
      () => session.write('k', 'v', { conflictPolicy: 'eror' as never }),
      () => session.write('k', 'v', { ifRevison: 1 } as WriteOptions),
      () => session.write(1 as never, 'v'),
      () => session.delete('k', { ifRevision: -1 }),
      () => session.read('k', { singal: 1 } as never),
      () => session.update('k', 'fn' as never),
      () => session.update('k', () => 'v', { ifRevision: 1 } as WriteOptions),
      () => session.updateJson('k', {} as never, () => null),
      () => session.readJson('k', {} as never, {}),
      () => session.list({ limit: 0 }),
      () => session.with({ writer: null as never }),
      () => session.watch({ prefix: 1 as never }),
    ]
    for (const act of misuses) {
      const error = await failureOf(act)
      expect(error instanceof TypeError || error instanceof RangeError, String(act)).toBe(true)
    }
    await refusal('INVALID_KEY', () => session.write('../k', 'v'))
    await refusal('LIMIT_EXCEEDED', () => given({}, { valueBytesMax: 1 }).session.write('k', 'vv'))
    expect([submitted, asked, updates]).toEqual([[], [], []])
  })

  test('the results of operations that are no literal may be of either type', async () => {
    const { session } = given()
    const operations: Operation[] = [{ write: 'k', value: '' }]
    expectTypeOf(await session.batch(operations)).items.toEqualTypeOf<WriteResult | DeleteResult>()
    const [written, deleted] = await session.batch([{ write: 'k', value: '' }, { delete: 'l' }])
    expectTypeOf(written).toEqualTypeOf<WriteResult>()
    expectTypeOf(deleted).toEqualTypeOf<DeleteResult>()
  })

  test('an empty batch asks for nothing', async () => {
    const { session, submitted } = given()
    expect(await session.batch([])).toEqual([])
    expect(submitted).toEqual([])
  })
})

describe('what a session has seen', () => {
  async function seenOf(made: ReturnType<typeof given>, key: string): Promise<unknown> {
    await made.session.delete(key)
    return operationsOf(made.submitted.at(-1)!)[0]!.seen
  }

  test('values, entries and updates that it was given; not heads and lists', async () => {
    const made = given(named)
    const { session, stored, updates } = made
    for (const key of ['read', 'bytes', 'json', 'entry', 'stat', 'listed', 'updated']) {
      stored.set(key, entry('1', key.length))
    }
    await session.read('read')
    await session.readBytes('bytes')
    await session.readJson('json')
    await session.entry('entry')
    await session.stat('stat')
    await session.list()
    await session.read('missing')
    await session.update('updated', () => undefined)
    await updates[0]!.step.decide(stored.get('updated')!)
    const seen: Record<string, unknown> = {}
    for (const key of ['read', 'bytes', 'json', 'entry', 'stat', 'listed', 'missing', 'updated', 'never']) {
      seen[key] = await seenOf(made, key)
    }
    expect(seen).toEqual({
      read: 4,
      bytes: 5,
      json: 4,
      entry: 5,
      stat: undefined,
      listed: undefined,
      missing: null,
      updated: 7,
      never: undefined,
    })
  })

  test('what was read ahead counts when it is given, not before', async () => {
    const made = given(named)
    for (const key of ['a', 'b', 'c']) made.stored.set(key, entry(key))
    for await (const { key } of made.session.entries()) if (key === 'b') break
    expect(made.asked.map(({ key }) => key)).toEqual(['a', 'b', 'c'])
    expect([await seenOf(made, 'b'), await seenOf(made, 'c')]).toEqual([5, undefined])
  })

  test('the caller can say it; it is kept apart by session, and an anonymous one keeps none', async () => {
    const made = given(named)
    made.stored.set('k', entry('v'))
    await made.session.read('k')
    await made.session.write('k', '', { seenRevision: 3 })
    await made.session.batch([{ delete: 'k', seenRevision: null }])
    await made.session.with({}).write('k', '')
    expect(made.submitted.map((each) => operationsOf(each)[0]!.seen)).toEqual([3, null, undefined])
    const anonymous = given()
    anonymous.stored.set('k', entry('v'))
    await anonymous.session.read('k')
    expect(await seenOf(anonymous, 'k')).toBeUndefined()
    expect(anonymous.submitted[0]!.seen).toBeNull()
  })

  test('I9: is bounded', async () => {
    const made = given(named, { seenKeysMax: 2 })
    for (const key of ['a', 'b', 'c']) await made.session.read(key)
    expect([await seenOf(made, 'a'), await seenOf(made, 'c')]).toEqual([undefined, null])
  })
})

describe('what a session gives out', () => {
  test('copies: nobody can change what is in memory', async () => {
    const { session, stored } = given()
    const bytes = new Uint8Array([1, 2])
    stored.set('k', entry(bytes))
    ;(await session.readBytes('k'))!.fill(9)
    ;(await session.entry('k'))!.value.fill(9)
    for await (const { value } of session.entries()) value.fill(9)
    expect(bytes).toEqual(new Uint8Array([1, 2]))
  })

  test('bytes that are no text are NOT_UTF8 where a text was asked for', async () => {
    const { session, stored, updates } = given()
    stored.set('k', entry(new Uint8Array([0xff])))
    for (const act of [() => session.read('k'), () => session.readJson('k')]) {
      expect(await refusal('NOT_UTF8', act)).toMatchObject({ namespace: 'n', key: 'k' })
    }
    await session.update('k', () => 'text')
    await refusal('NOT_UTF8', () => updates[0]!.step.decide(stored.get('k')!))
    expect(await session.readBytes('k')).toEqual(new Uint8Array([0xff]))
  })

  test('I9: entries are read a bounded number ahead, and those that are gone meanwhile are left out', async () => {
    const { session, stored, asked } = given()
    for (let index = 0; index < 40; index++) stored.set(`k${index}`, entry('v'))
    const entries = session.entries()
    await entries.next()
    expect(asked.length).toBe(16)
    for (let index = 16; index < 30; index++) stored.delete(`k${index}`)
    expect((await collect(entries)).length).toBe(25)
  })
})

describe('updates', () => {
  test('write what the function gives, on the condition that nothing has changed since', async () => {
    const { session, updates, submitted } = given(named)
    await session.update('./k', (value) => (value === null ? 'first' : value === 'end' ? null : `${value}!`))
    const { key, step } = updates[0]!
    expect(key).toBe('k')
    expect(await step.decide(null)).toBe('first')
    expect(await step.decide(entry('v'))).toBe('v!')
    expect(await step.decide(entry('end'))).toBeNull()
    await step.submit('first', null)
    await step.submit('v!', entry('v', 7))
    await step.submit(null, entry('end', 8))
    expect(submitted.map(operationsOf)).toMatchObject([
      [{ kind: 'write', key: 'k', value: utf8('first'), ifRevision: null, seen: null }],
      [{ kind: 'write', key: 'k', value: utf8('v!'), ifRevision: 7, seen: 7 }],
      [{ kind: 'delete', key: 'k', ifRevision: 8, seen: 8 }],
    ])
  })
})

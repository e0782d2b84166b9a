import { describe, expect, test } from 'vitest'
import type { WriteResult } from '../../src/api.js'
import { deferred, failureOf, nextTurn } from '../../src/contract/observe.js'
import { ANSWER, CALL } from '../../src/remote/wire.js'
import { hosted, until } from './hosted.js'
import { errorOf, RawPort } from './raw-port.js'

const LIMIT = { connectionOperationsMax: 8 }

/** Turns in which everything that can happen has happened, if nothing waits for a test. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await nextTurn()
}

describe('the credits of a connection', () => {
  test('I9: bound the operations under way; further callers wait on their side, and are served in order', async () => {
    const { backend, connect, ports } = await hosted(LIMIT)
    const session = await (await connect()).init('n')
    backend.holds = true
    const order: number[] = []
    const calls = Array.from({ length: 50 }, (_, index) =>
      session.write('k', String(index)).then((result) => {
        order.push(index)
        return result
      }),
    )
    await backend.nextCommit().then(async (commit) => {
      await settled()
      expect(ports.counts.calls).toBe(8)
      await commit.proceed()
    })
    const release = (async () => {
      while (order.length < 50) {
        if (backend.arrivedCount > 0) await (await backend.nextCommit()).proceed()
        expect(ports.counts.calls).toBeLessThanOrEqual(8)
        await nextTurn()
      }
    })()
    const results: WriteResult[] = await Promise.all(calls)
    await release
    backend.holds = false
    expect(order).toEqual(Array.from({ length: 50 }, (_, index) => index))
    expect(results.map(({ revision }) => revision)).toEqual(
      results.map(({ revision }) => revision).toSorted((a, b) => a - b),
    )
    expect(await session.read('k')).toBe('49')
  })

  test('I3: are given to the namespaces in turn: a flood of one does not hold up the callers of others', async () => {
    const { backend, connect, ports } = await hosted(LIMIT)
    const store = await connect()
    const [flood, few] = await Promise.all([store.init('flood'), store.init('few')])
    await few.write('k', 'before')
    backend.holds = true
    const finished: string[] = []
    const note = (who: string): void => void finished.push(who)
    const calls = [
      ...Array.from({ length: 100 }, (_, index) => flood.write(`k${index}`, '').then(() => note('flood'))),
      few.read('k').then((value) => note(`few: ${value}`)),
      few.write('k', 'after').then(() => note('few')),
    ]
    const commit = await backend.nextCommit()
    await settled()
    expect([ports.counts.calls, finished]).toEqual([8, []])
    await commit.proceed()
    await settled()
    backend.holds = false
    while (backend.arrivedCount > 0) await (await backend.nextCommit()).proceed()
    await Promise.all(calls)
    const few1 = finished.indexOf('few: before')
    const few2 = finished.indexOf('few')
    expect(few1).toBeGreaterThan(0)
    expect(few2).toBeLessThan(3 * LIMIT.connectionOperationsMax)
    expect(few2).toBeGreaterThan(few1)
  })

  test('count every operation of a batch; one that is larger than all credits goes alone', async () => {
    const { backend, connect, ports } = await hosted(LIMIT)
    const session = await (await connect()).init('n')
    const batch = (count: number): { write: string; value: string }[] =>
      Array.from({ length: count }, (_, index) => ({ write: `k${index}`, value: 'x' }))
    backend.holds = true
    const calls = [
      session.batch(batch(5)),
      session.batch(batch(5)),
      session.batch(batch(30)),
      session.write('l', ''),
    ]
    await settled()
    expect(ports.counts.calls).toBe(1)
    backend.holds = false
    await (await backend.nextCommit()).proceed()
    await Promise.all(calls)
    expect((await session.list()).length).toBe(31)
  })

  test('count bytes too: a value larger than all of them goes alone', async () => {
    const { backend, connect, ports } = await hosted({ connectionBytesMax: 1000 })
    const session = await (await connect()).init('n')
    backend.holds = true
    const calls = ['x'.repeat(600), 'x'.repeat(600), 'x'.repeat(5000), '', 'x'.repeat(100)].map(
      (value, index) => session.write(`k${index}`, value),
    )
    await settled()
    expect(ports.counts.calls).toBe(1)
    backend.holds = false
    await (await backend.nextCommit()).proceed()
    await Promise.all(calls)
    expect((await session.stat('k2'))!.size).toBe(5000)
  })

  test('are not needed to ask how the store is, which is answered while everything else waits (I11)', async () => {
    const { backend, connect } = await hosted({ connectionOperationsMax: 2 })
    const store = await connect()
    const session = await store.init('n')
    backend.holds = true
    const writes = Array.from({ length: 10 }, (_, index) => session.write('k', String(index)))
    const commit = await backend.nextCommit()
    for (let round = 0; round < 5; round++) {
      const [health, ...metrics] = await Promise.all([store.health(), store.metrics(), store.metrics()])
      expect(health).toEqual({ status: 'ok', problems: [] })
      for (const { commitWaitMs } of metrics) expect(commitWaitMs).toBeGreaterThan(0)
    }
    backend.holds = false
    await commit.proceed()
    await Promise.all(writes)
    expect((await store.metrics()).commitWaitMs).toBe(0)
  })

  test.each(['before', 'after'])(
    'let a batch that is larger than all of them go alone, also when somebody asks how the store is right %s it',
    async (order) => {
      const { connect } = await hosted({ connectionOperationsMax: 2 })
      const store = await connect()
      const session = await store.init('n')
      const large = Array.from({ length: 20 }, (_, index) => ({ write: `k${index}`, value: 'v' }))
      for (let round = 0; round < 5; round++) {
        const asked = order === 'before' ? store.health() : null
        const batch = session.batch(large)
        const [results, health] = await Promise.all([batch, asked ?? store.health()])
        expect([results.length, health.status]).toEqual([20, 'ok'])
      }
    },
  )

  test('who waits for them can give up at once, and the others go on', async () => {
    const { backend, connect } = await hosted({ connectionOperationsMax: 1 })
    const session = await (await connect()).init('n')
    backend.holds = true
    const first = session.write('k', 'first')
    const commit = await backend.nextCommit()
    const controller = new AbortController()
    const reason = new Error('no time')
    const waiting = session.write('k', 'second', { signal: controller.signal })
    const last = session.write('k', 'last')
    controller.abort(reason)
    expect(await failureOf(() => waiting)).toBe(reason)
    backend.holds = false
    await commit.proceed()
    await Promise.all([first, last])
    expect(await session.read('k')).toBe('last')
  })

  test('a change that waits at the host is withdrawn by an abort, one that is being made durable is not', async () => {
    const { backend, connect, ports } = await hosted()
    const session = await (await connect()).init('n')
    backend.holds = true
    const controller = new AbortController()
    const { signal } = controller
    const sealed = session.write('sealed', '1', { signal })
    const commit = await backend.nextCommit()
    const queued = session.write('queued', '1', { signal })
    await until(() => ports.counts.calls === 2)
    const reason = new Error('not wanted')
    controller.abort(reason)
    expect(await failureOf(() => queued)).toBe(reason)
    backend.holds = false
    await commit.proceed()
    expect(await sealed).toMatchObject({ key: 'sealed' })
    expect(await session.list()).toEqual(['sealed'])
  })

  test('updates that wait for a turn take none: whoever has the turn comes through', async () => {
    const { connect } = await hosted({ connectionOperationsMax: 4 })
    const session = await (await connect()).init('n')
    const step = async (value: string | null): Promise<string> => {
      await session.write('other', 'x')
      return String(Number(value ?? 0) + 1)
    }
    await Promise.all(Array.from({ length: 60 }, () => session.update('k', step)))
    expect(await session.read('k')).toBe('60')
  })

  test('updates inside updates come through, however many wait outside', async () => {
    const { connect } = await hosted({ connectionOperationsMax: 2 })
    const session = await (await connect()).init('n')
    const calls = Array.from({ length: 30 }, (_, index) =>
      session.update(`k${index % 3}`, async (value) => {
        await session.update(`inner${index}`, () => 'x')
        return `${value ?? ''}x`
      }),
    )
    await Promise.all(calls)
    expect(await Promise.all([0, 1, 2].map((each) => session.read(`k${each}`)))).toEqual(
      Array(3).fill('x'.repeat(10)),
    )
  })
})

describe('a connection that does not keep to its credits', () => {
  const terms = [
    CALL.TERMS,
    0,
    undefined,
    undefined,
    undefined,
    undefined,
    'ignore',
    'lost-update',
    'journal',
    false,
  ]
  const write = (id: number, size = 0): unknown[] => [
    ...[CALL.CHANGE, id, 'n', 0, true, 1],
    ...[true, `k${id}`, size, undefined, undefined],
  ]

  test('is told and cut off; what was in no commit group is dropped, what was is completed', async () => {
    const { backend, store, ports } = await hosted(LIMIT)
    const session = await store.init('n')
    const raw = new RawPort(store.createPort())
    backend.holds = true
    await raw.calls([...terms, ...write(1)])
    const commit = await backend.nextCommit()
    const answer = raw.calls(Array.from({ length: 20 }, (_, index) => write(index + 2)).flat())
    expect(errorOf(await answer)?.message).toContain('credits')
    await raw.closed
    await until(() => ports.counts.connections === 0)
    backend.holds = false
    await commit.proceed()
    await session.write('last', '')
    expect(await session.list()).toEqual(['k1', 'last'])
  })

  test('is cut off for bytes as well', async () => {
    const { store, ports } = await hosted({ connectionBytesMax: 1000 })
    await store.init('n')
    const raw = new RawPort(store.createPort())
    const answer = raw.calls([...terms, ...write(1, 900), ...write(2, 900)], new Uint8Array(1800))
    expect(errorOf(await answer)?.message).toContain('credits')
    await raw.closed
    await until(() => ports.counts.connections === 0)
  })

  test('is cut off too if it asks on without taking the answers', async () => {
    const { store, ports } = await hosted(LIMIT)
    await (await store.init('n')).write('k', '1')
    const raw = new RawPort(store.createPort(), false)
    let id = 0
    for (let round = 0; round < 8; round++) {
      await raw.calls([CALL.READ, ++id, 'n', 'k'])
      expect((await raw.delivery()).list.slice(0, 2)).toEqual([ANSWER.FOUND, id])
    }
    expect(errorOf(await raw.calls([CALL.READ, ++id, 'n', 'k']))?.message).toContain('credits')
    await until(() => ports.counts.connections === 0)
  })

  test('is cut off too if it goes on asking for what is refused without taking the answers', async () => {
    const { store, ports } = await hosted({ ...LIMIT, queueOperationsMax: 1 })
    await store.init('n')
    const raw = new RawPort(store.createPort(), false)
    await raw.calls(terms)
    let id = 0
    const tooMany = (): unknown[] => [
      ...[CALL.CHANGE, ++id, 'n', 0, false, 2],
      ...['a', 'b'].flatMap((key) => [false, key, 0, undefined, undefined]),
    ]
    for (let round = 0; round < 8; round++) {
      await raw.calls(tooMany())
      expect((await raw.delivery()).list.slice(0, 2)).toEqual([ANSWER.FAILED, id])
    }
    expect(errorOf(await raw.calls(tooMany()))?.message).toContain('credits')
    await until(() => ports.counts.connections === 0)
  })

  test('I9: gets no more large answers ahead than it takes', async () => {
    const { store, ports } = await hosted({ connectionBytesMax: 10_000 })
    const session = await store.init('n')
    await session.write('k', 'x'.repeat(4000))
    const raw = new RawPort(store.createPort(), false)
    const ids = Array.from({ length: 50 }, (_, index) => index + 1)
    await raw.calls(ids.flatMap((id) => [CALL.READ, id, 'n', 'k']))
    await settled()
    const bytes = (await raw.delivery()).packed!.byteLength
    expect(bytes).toBe(8000)
    expect(ports.counts.calls).toBe(48)
    expect(raw.messages.length).toBe(2)
  })
})

test('I9: past conflicts are answered one by one, each when the answer before it was taken', async () => {
  const { store } = await hosted({ connectionBytesMax: 10_000 })
  const [ann, ben] = await Promise.all(
    ['ann', 'ben'].map((writerId) => store.init('n', { writer: { writerId }, conflictPolicy: 'ignore' })),
  )
  await Promise.all([ann!.read('k'), ben!.read('k')])
  for (let count = 0; count < 50; count++) {
    await ann!.write('k', '')
    await ben!.write('k', '')
  }
  expect((await store.conflicts()).length).toBeGreaterThan(50)
  const raw = new RawPort(store.createPort(), false)
  await raw.calls(Array.from({ length: 10 }, (_, index) => [CALL.CONFLICTS, 100 + index]).flat())
  await settled()
  expect((await raw.delivery()).list.filter((value) => value === ANSWER.PLAIN).length).toBe(1)
  expect(raw.messages.length).toBe(2)
})

test('reads and lists of any size come through whole bounds', async () => {
  const { connect } = await hosted({ connectionBytesMax: 10, connectionOperationsMax: 3 })
  const connected = await connect()
  const session = await connected.init('n')
  const value = 'ü'.repeat(50_000)
  const keys = Array.from({ length: 40 }, (_, index) => `k${String(index).padStart(2, '0')}`)
  await Promise.all(keys.map((key) => session.write(key, value)))
  const found = await Promise.all(keys.map((key) => session.read(key)))
  expect(found.every((text) => text === value)).toBe(true)
  const lists = await Promise.all(Array.from({ length: 20 }, () => session.list()))
  for (const list of lists) expect(list).toEqual(keys)
})

test('I3: a flooding connection slows itself, not others', async () => {
  const { connect } = await hosted()
  const [flooding, modest] = await Promise.all([connect(), connect()])
  const [flood, few] = await Promise.all([flooding.init('flood'), modest.init('few')])
  let finished = 0
  const calls = Array.from({ length: 20_000 }, (_, index) =>
    flood.write(`k${index % 100}`, 'x').then(() => (finished += 1)),
  )
  const started = deferred()
  void calls[0]!.then(() => started.resolve())
  await started.promise
  const finishedAt: number[] = []
  for (let round = 0; round < 5; round++) {
    await few.write('k', String(round))
    finishedAt.push(finished)
  }
  await Promise.all(calls)
  // Each write waits for what the flood may have under way, twice at most.
  expect(finishedAt.at(-1)).toBeLessThan(5 * 2 * 1024 + 1024)
})

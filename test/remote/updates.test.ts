import { describe, expect, test } from 'vitest'
import type { Session } from '../../src/api.js'
import { deferred, failureOf, refusal } from '../../src/contract/observe.js'
import { hosted, until, type Hosted } from './hosted.js'

async function sessions(host: Hosted, count: number): Promise<Session[]> {
  await host.store.init('n')
  const stores = await Promise.all(Array.from({ length: count }, () => host.connect()))
  return Promise.all(stores.map((store, index) => store.resume('n', { writer: { writerId: `w${index}` } })))
}

const increment = (value: string | null): string => String(Number(value ?? 0) + 1)

describe('updates through several connections', () => {
  test('take turns with each other and with those of the store itself: none is lost, and no function runs twice', async () => {
    const host = await hosted()
    const all = [await host.store.init('n'), ...(await sessions(host, 3))]
    let running = 0
    let calls = 0
    const step = async (value: string | null): Promise<string> => {
      running++
      calls++
      expect(running).toBe(1)
      await new Promise((resolve) => setImmediate(resolve))
      running--
      return increment(value)
    }
    await Promise.all(Array.from({ length: 80 }, (_, index) => all[index % 4]!.update('k', step)))
    expect(await all[0]!.read('k')).toBe('80')
    expect(calls).toBe(80)
    await until(() => host.coordinator.turnsHeld === 0)
  })

  test('are known by key and writer while they have their turn, to whom may know of the namespace', async () => {
    const host = await hosted()
    const [one] = await sessions(host, 1)
    const elsewhere = await host.connect({ namespaces: ['other'] })
    const [begun, ending] = [deferred(), deferred<string>()]
    const update = one!.update('k', () => {
      begun.resolve()
      return ending.promise
    })
    await begun.promise
    const waiting = one!.update('k', increment)
    await until(() => host.ports.counts.turns === 2)
    const known = { namespace: 'n', key: 'k', writer: { writerId: 'w0' }, isConnected: true, waiting: 1 }
    for (const store of [host.store, await host.connect()]) {
      expect((await store.metrics()).updates).toMatchObject({ held: 1, waiting: 1, holders: [known] })
    }
    expect((await elsewhere.metrics()).updates).toMatchObject({ held: 1, waiting: 1, holders: [] })
    ending.resolve('1')
    await Promise.all([update, waiting])
    await until(() => host.coordinator.turnsHeld === 0)
    expect((await elsewhere.metrics()).updates).toEqual({ held: 0, waiting: 0, longestMs: 0, holders: [] })
  })

  test('that wait for each other across connections: one gets a TypeError, the other succeeds', async () => {
    const host = await hosted()
    const [one, two] = await sessions(host, 2)
    const started = [deferred(), deferred()] as const
    const cross = (session: Session, index: 0 | 1): Promise<unknown> =>
      session.update(`k${index}`, async () => {
        started[index].resolve()
        await started[1 - index]!.promise
        await session.update(`k${1 - index}`, () => 'inner')
        return `by ${index}`
      })
    const settled = await Promise.allSettled([cross(one!, 0), cross(two!, 1)])
    const failed = settled.filter((result) => result.status === 'rejected')
    expect(failed.length).toBe(1)
    expect(failed[0]!.reason).toBeInstanceOf(TypeError)
    await until(() => host.coordinator.turnsHeld === 0)
  })

  test('that wait in a ring over a connection, another and the store itself do not wait for ever', async () => {
    const host = await hosted()
    const ring = [await host.store.init('n'), ...(await sessions(host, 2))]
    const started = ring.map(() => deferred())
    const calls = ring.map((session, index) =>
      session.update(`k${index}`, async () => {
        started[index]!.resolve()
        await Promise.all(started.map(({ promise }) => promise))
        await session.update(`k${(index + 1) % 3}`, () => 'inner')
        return 'outer'
      }),
    )
    const settled = await Promise.allSettled(calls)
    const failed = settled.filter((result) => result.status === 'rejected')
    expect(failed.length).toBeGreaterThan(0)
    for (const { reason } of failed) expect(reason).toBeInstanceOf(TypeError)
    await until(() => host.coordinator.turnsHeld === 0)
  })

  test('inside each other over two connections of one thread are known to be', async () => {
    const host = await hosted()
    const [one, two] = await sessions(host, 2)
    const failures: unknown[] = []
    await one!.update('k', async (value) => {
      failures.push(await failureOf(() => two!.update('k', () => 'inner')))
      await two!.update('other', async () => {
        failures.push(await failureOf(() => one!.update('k', () => 'inner')))
        return 'x'
      })
      return increment(value)
    })
    expect(failures.length).toBe(2)
    for (const error of failures) expect(error).toBeInstanceOf(TypeError)
    expect(await two!.read('k')).toBe('1')
  })

  test('of different stores inside each other have nothing to do with each other', async () => {
    const [first, second] = await Promise.all([hosted(), hosted()])
    const [one] = await sessions(first, 1)
    const [two] = await sessions(second, 1)
    await one!.update('k', async (value) => {
      await two!.update('k', async (inner) => {
        expect(await failureOf(() => one!.update('k', () => 'x'))).toBeInstanceOf(TypeError)
        return increment(inner)
      })
      return increment(value)
    })
    expect([await one!.read('k'), await two!.read('k')]).toEqual(['1', '1'])
  })

  test('start again when somebody writes in between, from wherever', async () => {
    const host = await hosted()
    const [one, two] = await sessions(host, 2)
    const seen: (string | null)[] = []
    await one!.update('k', async (value) => {
      seen.push(value)
      if (seen.length === 1) await two!.write('k', 'a')
      if (seen.length === 2) await (await host.store.resume('n')).write('k', 'b')
      return `${value}!`
    })
    expect(seen).toEqual([null, 'a', 'b'])
    expect(await two!.read('k')).toBe('b!')
  })

  test('I11: give their turn back when their connection is closed, and those that waited are taken from the line', async () => {
    const host = await hosted()
    const raw = await host.connect()
    const holder = await raw.init('n')
    const [other] = await sessions(host, 1)
    const started = deferred()
    const failure = failureOf(() =>
      holder.update('k', () => {
        started.resolve()
        return new Promise<string>(() => {})
      }),
    )
    await started.promise
    const waiting = failureOf(() => holder.update('k', () => 'never'))
    const next = other!.update('k', increment)
    await until(() => host.ports.counts.turns === 3)
    await raw.close()
    expect(await next).toMatchObject({ key: 'k' })
    expect(await Promise.all([failure, waiting])).toMatchObject([
      { code: 'STORE_CLOSED' },
      { code: 'STORE_CLOSED' },
    ])
    expect(await other!.read('k')).toBe('1')
  })

  test('given up while they wait or run leave the line at the store', async () => {
    const host = await hosted()
    const [one, two] = await sessions(host, 2)
    const controller = new AbortController()
    const started = deferred()
    const running = failureOf(() =>
      one!.update(
        'k',
        () => {
          started.resolve()
          return new Promise<string>(() => {})
        },
        { signal: controller.signal },
      ),
    )
    await started.promise
    const waiting = failureOf(() => two!.update('k', () => 'never', { signal: controller.signal }))
    await until(() => host.ports.counts.turns === 2)
    const reason = new Error('enough')
    controller.abort(reason)
    expect(await Promise.all([running, waiting])).toEqual([reason, reason])
    await two!.update('k', increment)
    await until(() => host.ports.counts.turns === 0)
    expect(host.coordinator.turnsHeld).toBe(0)
  })

  test('I9: inside updates are refused beyond a bound, and do not hang', async () => {
    const host = await hosted({ connectionOperationsMax: 2 })
    const [one] = await sessions(host, 1)
    const nest = async (depth: number): Promise<unknown> =>
      one!.update(`k${depth}`, async () => {
        await nest(depth + 1)
        return 'x'
      })
    const error = await refusal('LIMIT_EXCEEDED', () => nest(0))
    expect(error).toMatchObject({ limit: 'connectionOperationsMax', max: 4 })
    await until(() => host.coordinator.turnsHeld === 0)
    expect(await one!.list()).toEqual([])
  })
})

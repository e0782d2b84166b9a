/** `update`: read, change and write as one step, taking turns. */
import { expect } from 'vitest'
import type { Session, Value } from '../../api.js'
import { deferred, failureOf, misuse, record, refusal } from '../observe.js'
import type { Given } from '../given.js'

export function updates(given: Given): void {
  outcomes(given)
  failing(given)
  turns(given)
  interference(given)
  nesting(given)
  conflicts(given)
}

function increment(value: string | null): string {
  return String(Number(value ?? 0) + 1)
}

function outcomes(given: Given): void {
  given.test(
    'the function gets the text or null, and what it returns is written, kept or deleted',
    async () => {
      const session = await given.session()
      const seen: (string | null)[] = []
      const step = (next: Value | null | undefined) => (value: string | null) => {
        seen.push(value)
        return next
      }
      expect(await session.update('k', step('1'))).toMatchObject({ key: 'k', conflict: null })
      expect(await session.update('k', step(undefined))).toBeNull()
      expect(await session.update('k', step(new TextEncoder().encode('2')))).toMatchObject({ key: 'k' })
      expect(await session.update('k', step(null))).toMatchObject({ key: 'k', deleted: true })
      expect(await session.update('k', step(undefined))).toBeNull()
      expect(await session.update('k', step(null))).toMatchObject({
        key: 'k',
        deleted: false,
        revision: null,
      })
      expect(seen).toEqual([null, '1', '1', '2', null, null])
      expect(await session.list()).toEqual([])
    },
  )
  given.test('an asynchronous function is waited for', async () => {
    const session = await given.session()
    await session.write('other', 'from elsewhere')
    await session.update('k', async () => `${await session.read('other')}!`)
    expect(await session.read('k')).toBe('from elsewhere!')
  })
  given.test('an update that changes nothing publishes nothing', async () => {
    const session = await given.session()
    await session.write('k', '1')
    const changes = record(given.store().events, 'change', { namespace: session.namespace })
    await session.update('k', () => undefined)
    await session.update('missing', () => null)
    await session.write('marker', '')
    expect((await changes.until((change) => change.key === 'marker')).length).toBe(1)
  })
}

function failing(given: Given): void {
  given.test(
    'what the function throws reaches the caller as it is, nothing changes, and the next one has its turn',
    async () => {
      const session = await given.session()
      await session.write('k', '1')
      const thrown = new Error('from the function')
      const throwing = session.update('k', () => {
        throw thrown
      })
      const rejecting = session.update('k', () => Promise.reject(thrown))
      const next = session.update('k', increment)
      expect(await failureOf(() => throwing)).toBe(thrown)
      expect(await failureOf(() => rejecting)).toBe(thrown)
      expect(await next).toMatchObject({ key: 'k' })
      expect(await session.read('k')).toBe('2')
    },
  )
  given.test('what can not be written is refused as in `write`, and the next one has its turn', async () => {
    const session = await given.session()
    const wrong = session.update('k', () => 7 as unknown as Value)
    const surrogate = session.update('k', () => '\ud800')
    const next = session.update('k', increment)
    expect(await misuse(() => wrong)).toBeInstanceOf(TypeError)
    await refusal('INVALID_VALUE', () => surrogate)
    await next
    expect(await session.read('k')).toBe('1')
  })
  given.test('a function that is none is a TypeError', async () => {
    const session = await given.session()
    for (const wrong of [undefined, null, 'x', {}]) {
      expect(await misuse(() => session.update('k', wrong as () => string))).toBeInstanceOf(TypeError)
    }
  })
}

function turns(given: Given): void {
  given.test(
    'updates of one key by many sessions take turns: none is lost, and no function runs twice',
    async () => {
      const sessions = await given.writers('ann', 'ben', 'cid')
      let calls = 0
      let running = 0
      const step = async (value: string | null): Promise<string> => {
        calls += 1
        running += 1
        expect(running).toBe(1)
        await Promise.resolve()
        running -= 1
        return increment(value)
      }
      await Promise.all(Array.from({ length: 90 }, (_, index) => sessions[index % 3]!.update('k', step)))
      expect(await sessions[0].read('k')).toBe('90')
      expect(calls).toBe(90)
    },
  )
  given.test('updates of a key run in the order of the calls, however the key is spelled', async () => {
    const session = await given.session()
    const spellings = ['a/b', './a/b', ' a//b']
    const calls = Array.from({ length: 12 }, (_, index) =>
      session.update(spellings[index % 3]!, (value) => `${value ?? ''}${index},`),
    )
    await Promise.all(calls)
    expect(await session.read('a/b')).toBe('0,1,2,3,4,5,6,7,8,9,10,11,')
  })
  given.test(
    'a function that takes long delays neither other keys, nor reads and writes, nor other namespaces',
    async () => {
      const [one, two] = await Promise.all([given.session(), given.session()])
      const gate = deferred<string>()
      const started = deferred()
      const slow = one.update('k', () => {
        started.resolve()
        return gate.promise
      })
      await started.promise
      await one.update('other', increment)
      await two.update('k', increment)
      await one.write('third', 'x')
      expect(await one.list()).toEqual(['other', 'third'])
      gate.resolve('done')
      await slow
      expect(await one.read('k')).toBe('done')
    },
  )
}

function interference(given: Given): void {
  given.test('when somebody writes in between, the function runs again on the new value', async () => {
    const session = await given.session()
    await session.write('k', 'a')
    const seen: (string | null)[] = []
    await session.update('k', async (value) => {
      seen.push(value)
      if (seen.length === 1) await session.write('k', 'b')
      if (seen.length === 2) await session.delete('k')
      return `${value}!`
    })
    expect(seen).toEqual(['a', 'b', null])
    expect(await session.read('k')).toBe('null!')
  })
  given.test(
    'updates and plain writes at the same moment: every update is based on what it replaced',
    async () => {
      const [ann, ben] = await given.writers('ann', 'ben')
      const updates = Array.from({ length: 40 }, () => ann.update('k', (value) => `${value ?? ''}u`))
      const plain = Array.from({ length: 10 }, (_, index) => ben.write('k', `[${index}]`))
      await Promise.all([...updates, ...plain])
      expect(await ann.read('k')).toMatch(/^\[9\]u*$/)
      const length = (await ann.read('k'))!.length
      await Promise.all(Array.from({ length: 5 }, () => ben.update('k', (value) => `${value}u`)))
      expect((await ann.read('k'))!.length).toBe(length + 5)
    },
  )
}

function nesting(given: Given): void {
  given.test(
    'an update of a key from inside an update of the same key is a TypeError, not a deadlock',
    async () => {
      const [ann, ben] = await given.writers('ann', 'ben')
      const inner: unknown[] = []
      for (const session of [ann, ben]) {
        await ann.update('k', async (value) => {
          inner.push(await failureOf(() => session.update('./k', () => 'inner')))
          return increment(value)
        })
      }
      expect(inner.every((error) => error instanceof TypeError)).toBe(true)
      expect(await ann.read('k')).toBe('2')
      await ann.update('k', increment)
    },
  )
  given.test('an update of another key from inside an update works', async () => {
    const [one, two] = await Promise.all([given.session(), given.session()])
    await one.update('k', async (value) => {
      await one.update('other', increment)
      await two.update('k', increment)
      return increment(value)
    })
    expect([await one.read('k'), await one.read('other'), await two.read('k')]).toEqual(['1', '1', '1'])
  })
  given.test(
    'two updates that wait for each other across two keys: one gets a TypeError, the other succeeds',
    async () => {
      const session = await given.session()
      const both = [deferred(), deferred()] as const
      const cross = (index: 0 | 1): Promise<unknown> =>
        session.update(`k${index}`, async () => {
          both[index].resolve()
          await both[1 - index]!.promise
          await session.update(`k${1 - index}`, () => `by ${index}`)
          return `own ${index}`
        })
      const settled = await Promise.allSettled([cross(0), cross(1)])
      const failed = settled.filter((result) => result.status === 'rejected')
      expect(failed.length).toBe(1)
      expect(failed[0]!.reason).toBeInstanceOf(TypeError)
      const winner = settled.findIndex((result) => result.status === 'fulfilled')
      expect(await session.read(`k${winner}`)).toBe(`own ${winner}`)
      expect(await session.read(`k${1 - winner}`)).toBe(`by ${winner}`)
    },
  )
}

function conflicts(given: Given): void {
  given.test('an update sees what it replaces, so it is no lost update, whoever wrote before', async () => {
    const sessions = await given.writers('ann', 'ben')
    for (let round = 0; round < 4; round += 1) {
      const session: Session = sessions[round % 2]!
      const result = await session.update('k', increment, { conflictPolicy: 'error' })
      expect(result?.conflict).toBeNull()
    }
  })
  given.test('under writer-change an update conflicts as a write does', async () => {
    const [ann, ben] = await given.writers('ann', 'ben')
    await ann.write('k', '1')
    const options = { detect: 'writer-change', conflictPolicy: 'error' } as const
    await refusal('CONFLICT', () => ben.update('k', increment, options))
    expect(await ann.read('k')).toBe('1')
    const result = await ben.update('k', increment, { detect: 'writer-change' })
    expect(result?.conflict).toMatchObject({ rule: 'writer-change', previous: { writerId: 'ann' } })
  })
}

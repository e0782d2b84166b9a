import { describe, expect, test } from 'vitest'
import type { Head, HeadAnswer, ReadAnswer } from '../../src/backend/backend.js'
import { failureOf, refusal } from '../../src/contract/observe.js'
import { stateError } from '../../src/errors.js'
import { bytesOf, coordinate, settle, until, writeOf, type Coordinated } from './coordinated.js'

const UNREADABLE = stateError('READ_FAILED', 'no permission', { path: '/n/k' })

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** A namespace `n` whose keys are in the backend, and nothing of it in memory. Questions wait for the test. */
async function given(
  keys: Readonly<Record<string, string>>,
  limits: Parameters<typeof coordinate>[0] = {},
): Promise<Coordinated> {
  const before = await coordinate()
  await before.create('n')
  for (const [key, value] of Object.entries(keys)) await before.write('n', key, value)
  await before.coordinator.close({ flush: true })
  const made = await coordinate(limits, before.backend)
  await made.coordinator.names('n', undefined)
  made.backend.holdsQuestions = true
  return made
}

function headOf(found: unknown): Head | null {
  return (found as { head: Head } | null)?.head ?? null
}

async function stored({ backend }: Coordinated, key: string): Promise<ReadAnswer> {
  backend.holdsQuestions = false
  const [answer] = await backend.read('n', [key])
  backend.holdsQuestions = true
  return answer!
}

describe('reading', () => {
  test('what is in memory is answered at once; a missing key is in the names, so it is, too', async () => {
    const { coordinator, backend, write } = await given({ k: 'v' })
    backend.holdsQuestions = false
    expect(coordinator.read('n', 'missing', undefined)).toBeNull()
    await write('n', 'new', 'w')
    expect(coordinator.read('n', 'new', undefined)).toMatchObject({ value: bytesOf('w') })
    const asked = coordinator.read('n', 'k', undefined)
    expect(asked).toBeInstanceOf(Promise)
    expect(await asked).toMatchObject({ value: bytes('v') })
    expect(coordinator.read('n', 'k', undefined)).toMatchObject({ value: bytes('v') })
  })

  test('what is asked for in one turn of the event loop travels together, in bounded questions', async () => {
    const keys = Object.fromEntries(Array.from({ length: 70 }, (_, index) => [`k${index}`, 'v']))
    const { coordinator, backend } = await given(keys)
    const reads = Object.keys(keys).map(async (key) => coordinator.read('n', key, undefined))
    await until(() => backend.readQuestions.length === 2)
    expect(backend.readQuestions.map((question) => question.keys.length)).toEqual([64, 6])
    for (const question of backend.readQuestions) await question.proceed()
    expect((await Promise.all(reads)).length).toBe(70)
  })

  test('I9: a key that many ask for in one turn is read once, and again for who asks later', async () => {
    const { coordinator, backend } = await given({ k: 'v' })
    const ask = (): Promise<unknown> => Promise.resolve(coordinator.read('n', 'k', undefined))
    const together = [ask(), ask(), ask()]
    await until(() => backend.readQuestions.length === 1)
    const later = ask()
    await until(() => backend.readQuestions.length === 2)
    for (const question of backend.readQuestions) {
      expect(question.keys).toEqual(['k'])
      await question.proceed()
    }
    for (const reading of [...together, later]) expect(await reading).toMatchObject({ value: bytes('v') })
    expect(backend.readQuestions.length).toBe(2)
  })

  test('is counted once, by who has answered', async () => {
    const { coordinator, backend } = await given({ k: 'v' })
    backend.holdsQuestions = false
    const counts = (): unknown => coordinator.counted(() => true).reads
    await coordinator.read('n', 'k', undefined)
    expect(counts()).toEqual({ memory: 0, backend: 1 })
    await coordinator.read('n', 'k', undefined)
    expect(counts()).toEqual({ memory: 1, backend: 1 })
    await coordinator.read('not loaded', 'missing', undefined)
    expect(counts()).toEqual({ memory: 1, backend: 2 })
  })

  test('I2: an answer counts only if the key has not changed since it was asked for', async () => {
    const { coordinator, backend, write } = await given({ k: 'old' })
    const reading = coordinator.read('n', 'k', undefined)
    await until(() => backend.readQuestions.length === 1)
    const stale = await stored({ backend } as Coordinated, 'k')
    const writing = write('n', 'k', 'new')
    await until(() => backend.headQuestions.length === 1)
    await backend.headQuestions[0]!.proceed()
    await writing
    backend.readQuestions[0]!.answer.resolve([stale])
    expect(await reading).toMatchObject({ value: bytesOf('new') })
  })

  test('I2: nor if what was changed has left the memory again', async () => {
    const { coordinator, backend, write } = await given({ k: 'old' }, { headBytesMax: 1, cacheBytesMax: 1 })
    const reading = coordinator.read('n', 'k', undefined)
    await until(() => backend.readQuestions.length === 1)
    const stale = await stored({ backend } as Coordinated, 'k')
    const writing = write('n', 'k', 'new')
    await until(() => backend.headQuestions.length === 1)
    await backend.headQuestions[0]!.proceed()
    const { revision } = await writing
    backend.holdsQuestions = false
    for (let index = 0; index < 5; index++) await write('n', `other${index}`, 'x')
    backend.readQuestions[0]!.answer.resolve([stale])
    expect(headOf(await reading)).toMatchObject({ revision })
    expect(await coordinator.head('n', 'k', undefined)).toMatchObject({ revision })
  })

  test('a key that is deleted meanwhile is missing', async () => {
    const { coordinator, backend, remove } = await given({ k: 'old' })
    const reading = coordinator.read('n', 'k', undefined)
    await until(() => backend.readQuestions.length === 1)
    const stale = await stored({ backend } as Coordinated, 'k')
    backend.holdsQuestions = false
    await remove('n', 'k')
    backend.readQuestions[0]!.answer.resolve([stale])
    expect(await reading).toBeNull()
  })

  test('a caller that gives up gets the reason; the others of the same question their answer', async () => {
    const { coordinator, backend } = await given({ a: '1', b: '2' })
    const controller = new AbortController()
    const aborted = failureOf(() => coordinator.read('n', 'a', controller.signal))
    const other = coordinator.read('n', 'b', undefined)
    await until(() => backend.readQuestions.length === 1)
    controller.abort(new Error('enough'))
    expect(await aborted).toMatchObject({ message: 'enough' })
    await backend.readQuestions[0]!.proceed()
    expect(await other).toMatchObject({ value: bytes('2') })
  })

  test('one key that can not be read fails its readers only; a question that fails fails its askers', async () => {
    const { coordinator, backend } = await given({ a: '1', b: '2' })
    const denied = refusal('READ_FAILED', () => coordinator.read('n', 'a', undefined))
    const readable = coordinator.read('n', 'b', undefined)
    await until(() => backend.readQuestions.length === 1)
    const b = await stored({ backend } as Coordinated, 'b')
    backend.readQuestions[0]!.answer.resolve([{ head: { unreadable: UNREADABLE }, value: null }, b])
    expect(await denied).toBe(UNREADABLE)
    expect(await readable).toMatchObject({ value: bytes('2') })
    const failing = failureOf(() => coordinator.read('n', 'a', undefined))
    await until(() => backend.readQuestions.length === 2)
    backend.readQuestions[1]!.answer.reject(new Error('the worker died'))
    expect(await failing).toMatchObject({ message: 'the worker died' })
    backend.holdsQuestions = false
    expect(await coordinator.read('n', 'a', undefined)).toMatchObject({ value: bytes('1') })
  })
})

describe('heads', () => {
  test('are looked up once, and known from then on', async () => {
    const { coordinator, backend } = await given({ k: 'v' })
    const asking = coordinator.head('n', 'k', undefined)
    await until(() => backend.headQuestions.length === 1)
    await backend.headQuestions[0]!.proceed()
    const head = await asking
    expect(await coordinator.head('n', 'k', undefined)).toBe(head)
    expect(await coordinator.head('n', 'missing', undefined)).toBeNull()
    expect(backend.headQuestions.length).toBe(1)
  })

  test('one that can not be read is an error for who asked, and is asked for anew', async () => {
    const { coordinator, backend } = await given({ k: 'v' })
    const denied = refusal('READ_FAILED', () => coordinator.head('n', 'k', undefined))
    await until(() => backend.headQuestions.length === 1)
    backend.headQuestions[0]!.answer.resolve([{ unreadable: UNREADABLE }])
    await denied
    backend.holdsQuestions = false
    expect(await coordinator.head('n', 'k', undefined)).toMatchObject({ size: 1 })
  })

  test('that they could not be looked up for somebody who gave up then says nothing to the next one', async () => {
    for (const ask of ['head', 'write'] as const) {
      const { coordinator, backend, write } = await given({ k: 'v' })
      const controller = new AbortController()
      const aborted = failureOf(() => write('n', 'k', 'given up', controller.signal))
      await until(() => backend.headQuestions.length === 1)
      backend.headQuestions[0]!.answer.resolve([{ unreadable: UNREADABLE }])
      controller.abort(new Error('enough'))
      expect(await aborted).toMatchObject({ message: 'enough' })
      await settle()
      backend.holdsQuestions = false
      const asked = ask === 'head' ? coordinator.head('n', 'k', undefined) : write('n', 'k', 'later')
      expect(await asked).toBeTruthy()
    }
  })

  test('I11: when they can not be looked up, who waits behind the writer that fails gets his turn', async () => {
    const limits = { queueBytesMax: 10, queueOperationsMax: 1 }
    const { backend, coordinator, create, write } = await given({ k: 'v' }, limits)
    backend.holdsQuestions = false
    await create('other')
    backend.holdsQuestions = true
    const first = failureOf(() => write('n', 'k', '123456'))
    await until(() => backend.headQuestions.length === 1)
    const behind = [write('n', 'k', '1234567'), write('other', 'k', '12345678')]
    backend.headQuestions[0]!.answer.reject(new Error('no worker'))
    expect(await first).toMatchObject({ message: 'no worker' })
    backend.holdsQuestions = false
    for (const question of backend.headQuestions.slice(1)) await question.proceed()
    expect((await Promise.all(behind)).map(({ key }) => key)).toEqual(['k', 'k'])
    await coordinator.close({ flush: false })
  })

  test('an answer for a key that has left the memory and came back changes nothing', async () => {
    const { coordinator, backend, write, events } = await given(
      { k: 'old' },
      { headBytesMax: 1, cacheBytesMax: 1 },
    )
    const asking = coordinator.head('n', 'k', undefined)
    await until(() => backend.headQuestions.length === 1)
    const question = backend.headQuestions[0]!
    backend.holdsQuestions = false
    for (let index = 0; index < 5; index++) await write('n', `other${index}`, 'x')
    const { revision } = await write('n', 'k', 'new')
    for (let index = 0; index < 5; index++) await write('n', `more${index}`, 'x')
    question.answer.resolve([null])
    expect(await asking).toMatchObject({ revision })
    expect(events.external).toEqual([])
    expect(await coordinator.names('n', undefined)).toContain('k')
  })
})

describe("changes behind the store's back", () => {
  const external = (fingerprint: string): Head => ({
    revision: 1,
    writer: null,
    writerAtS: null,
    anonymous: true,
    external: true,
    size: 1,
    updatedAtMs: 5,
    fingerprint,
  })

  /** Answers the next question with this; the value is always the same. */
  async function find(made: Coordinated, head: HeadAnswer): Promise<Head | null> {
    const { coordinator, backend } = made
    const index = backend.readQuestions.length
    const reading = coordinator.read('n', 'k', undefined)
    await until(() => backend.readQuestions.length > index)
    backend.readQuestions[index]!.answer.resolve([{ head, value: head === null ? null : bytes('x') }])
    return headOf(await reading)
  }

  /** The value leaves the memory, so that the next read asks again. */
  async function forget(made: Coordinated): Promise<void> {
    const { backend } = made
    const { holdsQuestions } = backend
    backend.holdsQuestions = false
    for (const key of ['x', 'y', 'z']) await made.change('n', [writeOf(key, 'x'.repeat(1000))])
    await settle()
    backend.holdsQuestions = holdsQuestions
  }

  const small = { cacheBytesMax: 100 }

  test('an entry that is found changed gets a revision of its own, once, and is reported', async () => {
    const made = await given({ k: 'v' }, small)
    const own = await find(made, await (async () => (await stored(made, 'k')).head)())
    const found = await (await forget(made), find(made, external('a')))
    expect(found).toMatchObject({ external: true, anonymous: true })
    expect(found!.revision).toBeGreaterThan(own!.revision)
    expect(made.events.external).toEqual([{ namespace: 'n', key: 'k', preservedAs: null }])
    const again = await (await forget(made), find(made, external('a')))
    expect(again!.revision).toBe(found!.revision)
    const changed = await (await forget(made), find(made, external('b')))
    expect(changed!.revision).toBeGreaterThan(found!.revision)
    expect(made.events.external.length).toBe(2)
  })

  test('an older state of our own that somebody put back is reported once, too', async () => {
    const made = await given({ k: 'v' }, small)
    const { head } = await stored(made, 'k')
    const old = { ...(head as Head), revision: 0 }
    await find(made, head)
    const found = await (await forget(made), find(made, old))
    const again = await (await forget(made), find(made, old))
    expect(found!.revision).toBeGreaterThan((head as Head).revision)
    expect([again!.revision, made.events.external.length]).toEqual([found!.revision, 1])
  })

  test('a file that is gone is a deletion by nobody known', async () => {
    const made = await given({ k: 'v' }, small)
    await find(made, (await stored(made, 'k')).head)
    await forget(made)
    expect(await find(made, null)).toBeNull()
    expect(made.events.external.length).toBe(1)
    expect(await made.coordinator.names('n', undefined)).not.toContain('k')
    expect(made.coordinator.read('n', 'k', undefined)).toBeNull()
  })

  /** The write of a key that is being committed, with the revision that it has already. */
  async function committing(made: Coordinated, key: string) {
    const { backend } = made
    backend.holds = true
    const writing = made.write('n', key, 'own')
    const commit = await backend.nextCommit()
    const revision = backend.allocateRevision()
    return async (): Promise<number> => {
      commit.answerAll({ status: 'committed', revision })
      await writing
      return revision
    }
  }

  test('I3: what is found while a commit of the namespace is under way comes after it', async () => {
    for (const found of [null, external('a')]) {
      const made = await given({ k: 'v' }, small)
      await find(made, (await stored(made, 'k')).head)
      await forget(made)
      const commit = await committing(made, 'new')
      const finding = find(made, found)
      await settle()
      expect(made.events.external).toEqual([])
      const revision = await commit()
      const head = await finding
      if (found === null) expect(head).toBeNull()
      else expect(head!.revision).toBeGreaterThan(revision)
      expect(made.events.external.length).toBe(1)
    }
  })

  test('I3: so does a file that turns out to be gone when its head is looked up, and the next commit comes after it', async () => {
    const made = await given({ k: 'v' })
    const { backend, coordinator } = made
    const commit = await committing(made, 'new')
    const [head, writing] = [coordinator.head('n', 'k', undefined), made.write('n', 'k', 'after')]
    await until(() => backend.headQuestions.length === 1)
    backend.headQuestions[0]!.answer.resolve([null])
    await settle()
    expect(made.events.external).toEqual([])
    const revision = await commit()
    expect(await head).toBeNull()
    await until(() => backend.arrivedCount === 1)
    const next = await backend.nextCommit()
    await next.proceed()
    expect((await writing).revision).toBeGreaterThan(revision)
    expect(made.events.external.length).toBe(1)
  })

  test('I3: one file that turns out to be gone does not keep the heads of the others waiting', async () => {
    const made = await given({ k: 'v', other: 'w' })
    const { backend, coordinator } = made
    const found = (await stored(made, 'other')).head
    const commit = await committing(made, 'new')
    const preparing = coordinator.prepareHeads('n', ['k', 'other'], undefined)
    await until(() => backend.headQuestions.length === 1)
    backend.headQuestions[0]!.answer.resolve([null, found])
    await settle()
    expect(await coordinator.head('n', 'other', undefined)).toEqual(found)
    expect(backend.headQuestions.length).toBe(1)
    await commit()
    await preparing
    expect(await coordinator.head('n', 'k', undefined)).toBeNull()
  })

  test('I3: what is found of a key that is being written is not there any more when the commit ends', async () => {
    const made = await given({ k: 'v' })
    made.backend.holdsQuestions = false
    await made.coordinator.head('n', 'k', undefined)
    const commit = await committing(made, 'k')
    made.backend.holdsQuestions = true
    const finding = find(made, external('a'))
    await settle()
    const revision = await commit()
    expect(await finding).toMatchObject({ revision, external: false })
    expect(made.events.external).toEqual([])
  })

  test('metadata that can not be read is warned of; the value is read all the same', async () => {
    const made = await given({ k: 'v' })
    const { head } = await stored(made, 'k')
    expect(await find(made, { corrupt: '/meta/k.json', head: head as Head })).toEqual(head)
    expect(made.events.warning).toMatchObject([{ code: 'METADATA_CORRUPT' }])
    expect(made.events.warning[0]!.message).toMatch('/meta/k.json')
    made.backend.holdsQuestions = false
    await refusal('METADATA_CORRUPT', () => made.write('n', 'k', 'new'))
  })

  test('metadata that was mended beside the same content keeps nobody from writing', async () => {
    const made = await given({ k: 'v' }, small)
    await find(made, { corrupt: '/meta/k.json', head: external('a') })
    await (await forget(made), find(made, external('a')))
    made.backend.holdsQuestions = false
    expect(await made.write('n', 'k', 'new')).toMatchObject({ key: 'k' })
    expect(made.events.warning.length).toBe(1)
  })

  test('metadata that is damaged later is warned of, once, whether the content was changed as well or not', async () => {
    for (const damaged of ['a', 'b']) {
      const made = await given({ k: 'v' }, small)
      await find(made, external('a'))
      expect(made.events.warning).toEqual([])
      const corrupt = { corrupt: '/meta/k.json', head: external(damaged) }
      await (await forget(made), find(made, corrupt))
      await (await forget(made), find(made, corrupt))
      expect(made.events.warning).toMatchObject([{ code: 'METADATA_CORRUPT' }])
      made.backend.holdsQuestions = false
      await refusal('METADATA_CORRUPT', () => made.write('n', 'k', 'new'))
    }
  })
})

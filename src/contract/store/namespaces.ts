/** Making, finding and removing namespaces. */
import { expect } from 'vitest'
import type { Store } from '../../api.js'
import { collect, misuse, record, refusal } from '../observe.js'
import type { Given } from '../given.js'
import { pageOf } from './lists.js'
import { LONE_SURROGATES, OBJECT_NAMES } from './names.js'

export function namespaces(given: Given): void {
  making(given)
  refusing(given)
  listing(given)
  removing(given)
  removed(given)
}

function making(given: Given): void {
  given.test(
    'without a name a namespace gets a UUIDv7, and later ones sort behind earlier ones',
    async () => {
      const first = await given.store().init()
      const second = await given.store().init({ writer: { writerId: 'ann' } })
      for (const { namespace } of [first, second]) {
        expect(namespace).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      }
      expect(second.namespace > first.namespace).toBe(true)
      expect(second.writer).toEqual({ writerId: 'ann' })
    },
  )
  given.test(
    '`init` makes a namespace that `resume` then finds, and reopens one that is there, with its keys',
    async () => {
      const name = `made-${(await given.session()).namespace}`
      await refusal('NAMESPACE_NOT_FOUND', () => given.store().resume(name))
      const session = await given.store().init(name)
      expect(session.namespace).toBe(name)
      await session.write('k', '1')
      expect(await (await given.store().init(name)).read('k')).toBe('1')
      expect(await (await given.store().resume(name)).read('k')).toBe('1')
    },
  )
  given.test('several `init` of one new name at the same moment all succeed', async () => {
    const store = await given.open()
    const sessions = await Promise.all(Array.from({ length: 10 }, () => store.init('same')))
    await Promise.all(sessions.map((session, index) => session.write(`k${index}`, '')))
    expect((await sessions[0]!.list()).length).toBe(10)
    expect(await collect(store.namespaces())).toEqual(['same'])
  })
  given.test('`resume` of what is not there is NAMESPACE_NOT_FOUND and makes nothing', async () => {
    const store = await given.open()
    for (const name of ['nowhere', ...OBJECT_NAMES]) {
      const error = await refusal('NAMESPACE_NOT_FOUND', () => store.resume(name))
      expect(error).toMatchObject({ namespace: name, outcome: 'unchanged' })
    }
    expect(await collect(store.namespaces())).toEqual([])
  })
  given.test('names such as `__proto__`, blanks, dots and non-ASCII letters are ordinary', async () => {
    const store = await given.open()
    const names = [...OBJECT_NAMES, ' blank ', '...', '.hidden', 'ünï', '😀', 'a:b', '-', 'n'.repeat(200)]
    for (const name of names) await (await store.init(name)).write('k', name)
    for (const name of names) expect(await (await store.resume(name)).read('k')).toBe(name)
    expect(new Set(await collect(store.namespaces()))).toEqual(new Set(names))
  })
}

function refusing(given: Given): void {
  const calls: Readonly<Record<string, (store: Store, name: string) => Promise<unknown>>> = {
    init: (store, name) => store.init(name),
    resume: (store, name) => store.resume(name),
    remove: (store, name) => store.remove(name),
  }
  const bad = [
    '',
    '.',
    '..',
    '/',
    'a/b',
    '/a',
    'a/',
    '../a',
    'a\0b',
    '.agent_state',
    'n'.repeat(201),
    'ü'.repeat(101),
    ...LONE_SURROGATES,
  ]
  given.test(
    'a name that is no single, storable path component is INVALID_NAMESPACE, and nothing is made',
    async () => {
      const store = await given.open()
      for (const name of bad) {
        for (const call of Object.values(calls)) {
          const error = await refusal('INVALID_NAMESPACE', () => call(store, name))
          expect(error.outcome).toBe('unchanged')
        }
      }
      expect(await collect(store.namespaces())).toEqual([])
    },
  )
  given.test('a name that is not a string is a TypeError', async () => {
    for (const name of [null, 1, true, Symbol('n'), ['n']] as readonly unknown[]) {
      for (const call of Object.values(calls)) {
        expect(await misuse(() => call(given.store(), name as string))).toBeInstanceOf(TypeError)
      }
    }
    expect(await misuse(() => given.store().resume(undefined as unknown as string))).toBeInstanceOf(TypeError)
    expect(await misuse(() => given.store().remove(undefined as unknown as string))).toBeInstanceOf(TypeError)
  })
}

function listing(given: Given): void {
  given.test('namespaces are listed in the order of their UTF-8 bytes, page by page', async () => {
    const store = await given.open()
    const sorted = ['A', 'Z', 'a', 'a b', 'a-b', 'a0', 'aa', 'é', '～', '😀']
    await Promise.all([...sorted].reverse().map((name) => store.init(name)))
    for (const page of [
      {},
      { reverse: true },
      { prefix: 'a' },
      { after: 'a', limit: 2 },
      { limit: 3 },
      { prefix: 'a', after: 'a0', reverse: true },
    ]) {
      expect(await collect(store.namespaces(page)), JSON.stringify(page)).toEqual(pageOf(sorted, page))
    }
  })
  given.test('a namespace without keys is listed too', async () => {
    const store = await given.open()
    const session = await store.init('empty')
    await session.write('k', '1')
    await session.delete('k')
    expect(await collect(store.namespaces())).toEqual(['empty'])
    expect(await (await store.resume('empty')).list()).toEqual([])
  })
}

function removing(given: Given): void {
  given.test('`remove` deletes a namespace with all its keys: true if there was one', async () => {
    const store = await given.open()
    const session = await store.init('gone')
    await session.batch([
      { write: 'a/b', value: '1' },
      { write: 'c', value: '2' },
    ])
    await (await store.init('stays')).write('k', '1')
    expect(await store.remove('gone')).toBe(true)
    expect(await store.remove('gone')).toBe(false)
    expect(await store.remove('never')).toBe(false)
    expect(await collect(store.namespaces())).toEqual(['stays'])
    await refusal('NAMESPACE_NOT_FOUND', () => store.resume('gone'))
    const again = await store.init('gone')
    expect(await again.list()).toEqual([])
    expect(await again.read('a/b')).toBeNull()
    expect(await (await store.resume('stays')).read('k')).toBe('1')
  })
  given.test('a removal publishes a deletion of every key, all with one revision', async () => {
    const [ann] = await given.writers('ann')
    const { revision } = await ann.write('a', '1')
    await ann.batch([
      { write: 'b', value: '2' },
      { write: 'c/d', value: '3' },
    ])
    const changes = record(given.store().events, 'change', { namespace: ann.namespace })
    await given.store().remove(ann.namespace)
    await given.store().init(ann.namespace)
    await ann.write('marker', '')
    await changes.until((change) => change.key === 'marker')
    const deleted = changes.items.slice(0, -1)
    expect(deleted.map((change) => change.kind)).toEqual(['delete', 'delete', 'delete'])
    expect(deleted.map((change) => change.key).sort()).toEqual(['a', 'b', 'c/d'])
    expect(new Set(deleted.map((change) => change.revision)).size).toBe(1)
    expect(deleted[0]!.revision).toBeGreaterThan(revision)
    expect(changes.items.at(-1)!.revision).toBeGreaterThan(deleted[0]!.revision)
  })
}

function removed(given: Given): void {
  given.test(
    'changing anything through a session whose namespace was removed is NAMESPACE_NOT_FOUND and makes nothing',
    async () => {
      const store = await given.open()
      const session = await store.init('gone')
      await session.write('k', '1')
      await store.remove('gone')
      for (const act of [
        () => session.write('k', '2'),
        () => session.writeJson('k', 2),
        () => session.delete('k'),
        () => session.batch([{ write: 'k', value: '2' }]),
        () => session.update('k', () => '2'),
        () => session.writeHandoff({}),
      ]) {
        expect(await refusal('NAMESPACE_NOT_FOUND', act)).toMatchObject({
          namespace: 'gone',
          outcome: 'unchanged',
        })
      }
      expect(await collect(store.namespaces())).toEqual([])
      await store.init('gone')
      await session.write('k', '3')
      expect(await session.list()).toEqual(['k'])
    },
  )
  given.test('writes and a removal at the same moment: each write is either removed or refused', async () => {
    const store = await given.open()
    for (let round = 0; round < 10; round += 1) {
      const session = await store.init('gone')
      const before = Array.from({ length: 5 }, (_, index) => session.write(`a${index}`, ''))
      const removal = store.remove('gone')
      const after = Array.from({ length: 5 }, (_, index) => session.write(`b${index}`, ''))
      expect(await removal).toBe(true)
      await Promise.all(before)
      const refused = await Promise.allSettled(after)
      expect(refused.map((result) => result.status)).toEqual(Array.from({ length: 5 }, () => 'rejected'))
      expect(await collect(store.namespaces())).toEqual([])
    }
  })
}

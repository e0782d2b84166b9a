/** What `commit` answers, and what is there afterwards. */
import { expect } from 'vitest'
import type { Plan } from '../../backend/backend.js'
import {
  changing,
  commit,
  committedRevision,
  creating,
  headOf,
  keysOf,
  planOf,
  remove,
  textOf,
  write,
  type GivenBackend,
} from './given-backend.js'
import { nextTurn } from '../observe.js'

export function committing(given: GivenBackend): void {
  outcomes(given)
  namespaces(given)
  units(given)
  visibility(given)
  concurrency(given)
  expectations(given)
}

function outcomes(given: GivenBackend): void {
  given.test('one outcome a plan, in the order of the plans', async () => {
    const { backend } = await given.open()
    expect(await backend.commit([])).toEqual([])
    const names = Array.from({ length: 50 }, (_, index) => `n${index}`)
    const answers = await backend.commit(names.map((name) => creating(name, [write('k', name)])))
    expect(answers.map((answer) => answer.status)).toEqual(names.map(() => 'committed'))
    for (const [index, name] of names.entries()) {
      expect((await headOf(backend, name, 'k'))?.revision).toBe(committedRevision(answers[index]!) + 1)
      expect(await textOf(backend, name, 'k')).toBe(name)
    }
  })
  given.test('unit i of a plan gets the first revision plus i', async () => {
    const { backend } = await given.open()
    const first = await commit(
      backend,
      creating('n', [write('a', '1')], [write('b', '1'), write('c', '1')], [write('d', '1')]),
    )
    const heads = await backend.heads('n', ['a', 'b', 'c', 'd'])
    expect(heads).toMatchObject([1, 2, 2, 3].map((offset) => ({ revision: first + offset })))
  })
}

function namespaces(given: GivenBackend): void {
  given.test(
    'a namespace exists once it was made, without keys too, and no longer once it was removed',
    async () => {
      const { backend } = await given.open()
      expect(await backend.namespaces()).toEqual([])
      expect(await backend.load('n')).toEqual({ exists: false, keys: [] })
      await backend.commit([creating('n'), creating('m', [write('a/b', '1'), write('c', '1')])])
      expect([...(await backend.namespaces())].sort()).toEqual(['m', 'n'])
      expect(await backend.load('n')).toEqual({ exists: true, keys: [] })
      await backend.commit([planOf('m', [{ kind: 'remove' }])])
      expect(await backend.namespaces()).toEqual(['n'])
      expect(await backend.load('m')).toEqual({ exists: false, keys: [] })
      expect(await headOf(backend, 'm', 'c')).toBeNull()
      expect(await textOf(backend, 'm', 'a/b')).toBeNull()
    },
  )
  given.test('a namespace made anew has nothing of the old one, also within one plan', async () => {
    const { backend } = await given.open()
    await commit(backend, creating('n', [write('old', '1'), write('d/e', '1')]))
    await commit(
      backend,
      planOf('n', [
        { kind: 'change', changes: [write('before', '1')] },
        { kind: 'remove' },
        { kind: 'create' },
        { kind: 'change', changes: [write('d', 'a file where a directory was')] },
      ]),
    )
    expect(await keysOf(backend, 'n')).toEqual(['d'])
    expect(await textOf(backend, 'n', 'old')).toBeNull()
    expect(await textOf(backend, 'n', 'before')).toBeNull()
    expect(await textOf(backend, 'n', 'd')).toBe('a file where a directory was')
  })
}

function units(given: GivenBackend): void {
  given.test('later units of a plan come after earlier ones', async () => {
    const { backend } = await given.open()
    const first = await commit(
      backend,
      creating(
        'n',
        [write('a', '1'), write('b', '1')],
        [write('a', '2'), remove('b')],
        [write('b', '3')],
        [remove('a')],
      ),
    )
    expect(await keysOf(backend, 'n')).toEqual(['b'])
    expect(await textOf(backend, 'n', 'b')).toBe('3')
    expect((await headOf(backend, 'n', 'b'))?.revision).toBe(first + 3)
    expect(await headOf(backend, 'n', 'a')).toBeNull()
  })
  given.test('one unit may turn a file into a directory or back', async () => {
    const { backend } = await given.open()
    await commit(backend, creating('n', [write('a', '1')]))
    await commit(backend, changing('n', [remove('a'), write('a/b/c', '2')]))
    expect(await keysOf(backend, 'n')).toEqual(['a/b/c'])
    await commit(
      backend,
      changing('n', [remove('a/b/c'), write('a/b', '3')], [remove('a/b'), write('a', '4')]),
    )
    expect(await keysOf(backend, 'n')).toEqual(['a'])
    expect(await textOf(backend, 'n', 'a')).toBe('4')
  })
  given.test('a deleted key has neither head nor value', async () => {
    const { backend } = await given.open()
    await commit(backend, creating('n', [write('a/b', '1'), write('a/c', '1')]))
    await commit(backend, changing('n', [remove('a/b')]))
    expect(await headOf(backend, 'n', 'a/b')).toBeNull()
    expect(await textOf(backend, 'n', 'a/b')).toBeNull()
    expect(await keysOf(backend, 'n')).toEqual(['a/c'])
  })
}

function visibility(given: GivenBackend): void {
  given.test('I2: what `commit` has not answered is not shown by `heads` or `read`', async () => {
    const { backend } = await given.open()
    let answered = await commit(backend, creating('n', [write('k', '0')]))
    for (let round = 1; round <= 30; round += 1) {
      let isAnswered = false
      const committing = commit(backend, changing('n', [write('k', String(round))])).finally(
        () => (isAnswered = true),
      )
      const before = answered
      while (!isAnswered) {
        await nextTurn()
        const [head, text] = await Promise.all([headOf(backend, 'n', 'k'), textOf(backend, 'n', 'k')])
        if (isAnswered) break
        expect(head!.revision).toBeLessThanOrEqual(before + 1)
        expect(text).toBe(String(round - 1))
      }
      answered = await committing
      expect((await headOf(backend, 'n', 'k'))?.revision).toBe(answered)
      expect(await textOf(backend, 'n', 'k')).toBe(String(round))
    }
  })
  given.test('what a reader was given is not changed by later commits', async () => {
    const { backend } = await given.open()
    await commit(backend, creating('n', [write('k', 'first')]))
    const held = (await backend.read('n', ['k']))[0]!
    await commit(backend, changing('n', [write('k', 'other')]))
    await commit(backend, changing('n', [remove('k')]))
    expect(new TextDecoder().decode(held.value ?? undefined)).toBe('first')
  })
}

function concurrency(given: GivenBackend): void {
  given.test(
    'as many commits as the backend says may be under way at once, each answered truly',
    async () => {
      const { backend } = await given.open()
      const inFlight = Math.min(backend.supports.commitsInFlight, 16)
      expect(inFlight).toBeGreaterThanOrEqual(1)
      const names = Array.from({ length: inFlight }, (_, index) => `n${index}`)
      await backend.commit(names.map((name) => creating(name)))
      for (let round = 0; round < 10; round += 1) {
        await (backend.ready() ?? Promise.resolve())
        const commits = names.map((name) => commit(backend, changing(name, [write('k', `${name} ${round}`)])))
        const revisions = await Promise.all(commits)
        for (const [index, name] of names.entries()) {
          expect((await headOf(backend, name, 'k'))?.revision).toBe(revisions[index])
          expect(await textOf(backend, name, 'k')).toBe(`${name} ${round}`)
        }
      }
    },
  )
}

function expectations(given: GivenBackend): void {
  given.test(
    '`stale` is answered only by a backend that is not exclusive, and fails no other plan',
    async () => {
      const { backend } = await given.open()
      const first = await commit(backend, creating('n', [write('k', '1')]))
      await commit(backend, creating('m'))
      const mistaken: Plan = { ...changing('n', [write('k', '2')]), expected: new Map([['k', null]]) }
      const [outcome, other] = await backend.commit([mistaken, changing('m', [write('k', '1')])])
      expect(other!.status).toBe('committed')
      if (backend.supports.exclusive) {
        expect(outcome!.status).toBe('committed')
      } else {
        expect(outcome!.status).toBe('stale')
        const heads = outcome!.status === 'stale' ? outcome!.heads : new Map()
        expect(heads.get('k')).toMatchObject({ revision: first + 1 })
        expect(await textOf(backend, 'n', 'k')).toBe('1')
      }
    },
  )
}

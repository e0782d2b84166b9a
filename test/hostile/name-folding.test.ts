/**
 * A root on a file system that takes several names for one (simulated): it ignores case, or the Unicode form of names. Proven:
 * two keys or two namespaces never share a file or directory, whatever the timing; the second spelling is refused before it
 * is acknowledged; and what was acknowledged is there under its own spelling, in memory, in the tree and after a kill.
 *
 * Not covered: the tables of real file systems, which fold other letters than JavaScript does, and directories without keys
 * that somebody made by hand under another spelling.
 */
import { readdirSync } from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Operation, Session, Store } from '../../src/api.js'
import { collect, failureOf, refusal } from '../../src/contract/observe.js'
import { AgentStateError } from '../../src/errors.js'
import { openStore } from '../../src/store.js'
import { HeldRunner } from '../damage/support/held-runner.js'
import { copyTree, fastBackend } from '../damage/support/left-root.js'
import { openRecorded, type Opened } from '../damage/support/shown.js'
import { temporaryDirectory } from '../damage/support/temporary-directory.js'
import { Random } from '../durability/support/random.js'
import { forSeeds, tortureSettings } from '../durability/support/settings.js'
import { DECOMPOSING, FOLDINGS, foldingFileSystem, type Folding } from './support/folding-file-system.js'

async function open(root: string, folding: Folding): Promise<Opened> {
  const opened = await openRecorded(fastBackend(root, { fs: foldingFileSystem(root, folding) }))
  onTestFinished(() => opened.store.close())
  return opened
}

describe.each(FOLDINGS)('on a file system that $name', (folding) => {
  const [one, other] = folding.spellings

  describe('two keys that would share a path', () => {
    async function given(): Promise<{ root: string; store: Store; session: Session }> {
      const root = temporaryDirectory()
      const { store } = await open(root, folding)
      return { root, store, session: await store.init('n') }
    }

    test('are refused, as files, as directories and one inside of the other, at once and later', async () => {
      const { root, store, session } = await given()
      await session.write(one, 'one')
      await session.write(`in/${one}/deep`, 'deep')
      const blocked: readonly (readonly [string, string])[] = [
        [other, one],
        [`${other}/x`, one],
        [`in/${other}/beside`, `in/${one}`],
        [`in/${other}`, `in/${one}`],
      ]
      const check = async (of: Session): Promise<void> => {
        for (const [key, by] of blocked) {
          const error = await refusal('KEY_BLOCKED', () => of.write(key, 'x'))
          expect(error).toMatchObject({ key, by, outcome: 'unchanged' })
          expect(await of.read(key)).toBeNull()
          expect(await of.delete(key)).toMatchObject({ deleted: false })
        }
        expect([await of.read(one), await of.read(`in/${one}/deep`)]).toEqual(['one', 'deep'])
      }
      await check(session)
      await store.close()
      const again = await open(root, folding)
      await check(await again.store.resume('n'))
      expect(again.external).toEqual([])
    })

    test('are refused when they are asked for at the same time: the first one is taken', async () => {
      const { session } = await given()
      const results = await Promise.allSettled(
        [one, other, `${other}/x`].map((key) => session.write(key, key)),
      )
      expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected'])
      const batch = [one, other].map((name) => ({ write: `new/${name}`, value: '' }))
      await refusal('KEY_BLOCKED', () => session.batch(batch))
      expect(await session.list()).toEqual([one])
    })

    test('may follow each other, also in one batch, and the one that is there is known under its spelling', async () => {
      const { root, store, session } = await given()
      await session.write(one, '1')
      await session.delete(one)
      await session.write(other, '2')
      await refusal('KEY_BLOCKED', () => session.write(one, '3'))
      await session.batch([{ write: one, value: '4' }, { delete: other }])
      await refusal('KEY_BLOCKED', () => session.write(other, '5'))
      await session.batch([{ delete: one }, { write: `${other}/inside`, value: '6' }])
      await refusal('KEY_BLOCKED', () => session.write(one, '7'))
      await store.close()
      const again = await open(root, folding)
      const entries = await collect((await again.store.resume('n')).entries())
      expect(entries.map(({ key, value }) => [key, Buffer.from(value).toString()])).toEqual([
        [`${other}/inside`, '6'],
      ])
      expect(again.external).toEqual([])
    })

    test('do not take each other’s files when they come with many others', async () => {
      const root = temporaryDirectory()
      const fs = foldingFileSystem(root, folding)
      const runner = new HeldRunner(fs)
      const store = await openStore({ backend: fastBackend(root, { fs, runner: () => runner }) })
      const session = await store.init('n')
      const fill = (name: string): Promise<unknown> =>
        session.batch(Array.from({ length: 256 }, (_, index) => ({ write: `${name}-${index}`, value: '' })))
      const both = async (act: (path: string) => Promise<unknown>, name: string): Promise<void> => {
        await act(name)
        await act(`in/${name}/file`)
      }
      runner.hold()
      await both((key) => session.write(key, 'first'), one)
      await both((key) => session.delete(key), one)
      await fill('between')
      await both((key) => session.write(key, 'second'), other)
      await both((key) => session.delete(key), other)
      // In the backlog it has the place of its first change, before the deletion of the other.
      await both((key) => session.write(key, 'last'), one)
      runner.release()
      await store.close()
      const { store: again, external } = await open(root, folding)
      const session2 = await again.resume('n')
      expect(await session2.list({ prefix: 'in/' })).toEqual([`in/${one}/file`])
      expect([await session2.read(one), await session2.read(`in/${one}/file`)]).toEqual(['last', 'last'])
      expect(external).toEqual([])
    })
  })

  test('the store’s own names can’t be had under another spelling', async () => {
    const { store } = await open(temporaryDirectory(), folding)
    for (const name of ['.AGENT_STATE', '.Agent_State', '.agent_\u017ftate']) {
      await refusal('INVALID_NAMESPACE', () => store.init(name))
    }
    const session = await store.init('n')
    if (folding.fold('A') !== folding.fold('a')) return
    const keys = ['.AGENT_STATE_META/x', '.Agent_state_meta', '.AGENT_STATE_META/.agent_state_metA/y']
    for (const key of keys) await refusal('KEY_BLOCKED', () => session.write(key, 'x'))
    const answers = await Promise.allSettled([
      store.remove('n'),
      store.init('n'),
      ...keys.map((key) => session.write(key, 'x')),
    ])
    expect(answers.map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      ...keys.map(() => 'rejected'),
    ])
  })

  describe('two namespaces that would share a directory', () => {
    test('are refused: at once, when the directory is there, and after opening again', async () => {
      const root = temporaryDirectory()
      const { store } = await open(root, folding)
      const session = await store.init(one)
      await session.write('k', 'of one')
      const check = async (of: Store): Promise<void> => {
        expect(await refusal('INVALID_NAMESPACE', () => of.init(other))).toMatchObject({ namespace: other })
        expect(AgentStateError.is(await failureOf(() => of.resume(other)))).toBe(true)
        expect(await collect(of.namespaces())).toEqual([one])
        expect(await (await of.resume(one)).read('k')).toBe('of one')
      }
      await check(store)
      await store.flush()
      await check(store)
      await store.close()
      await check((await open(root, folding)).store)
    })

    test('are refused when they are asked for at the same time: the first one is taken', async () => {
      const { store } = await open(temporaryDirectory(), folding)
      const answers = await Promise.allSettled([store.init(one), store.init(other), store.init(one)])
      expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
      expect((answers[1] as PromiseRejectedResult).reason).toMatchObject({ code: 'INVALID_NAMESPACE' })
      expect(await collect(store.namespaces())).toEqual([one])
    })

    test('may follow each other, and the removal of the one takes nothing of the other', async () => {
      const root = temporaryDirectory()
      const { store } = await open(root, folding)
      for (let round = 0; round < 5; round++) {
        const [name, rival] = round % 2 === 0 ? [one, other] : [other, one]
        const session = await store.init(name)
        await session.write('k', `round ${round}`)
        if (round % 2 === 1) await store.flush()
        await refusal('INVALID_NAMESPACE', () => store.init(rival))
        if (round < 4) expect(await store.remove(name)).toBe(true)
      }
      await store.close()
      expect(readdirSync(root).filter((name) => !name.startsWith('.agent_state'))).toEqual([one])
      const again = await open(root, folding)
      expect(await (await again.store.resume(one)).read('k')).toBe('round 4')
      expect(again.external).toEqual([])
    })

    test('are told from a directory that somebody made while the store is open', async () => {
      const root = temporaryDirectory()
      const fs = foldingFileSystem(root, folding)
      const { store } = await open(root, folding)
      fs.makeDirectory(`${root}/${one}`, 0o700)
      await refusal('INVALID_NAMESPACE', () => store.init(other))
      expect((await store.init(one)).namespace).toBe(one)
      expect(await store.remove(one)).toBe(true)
      expect((await store.init(other)).namespace).toBe(other)
    })
  })

  test('random changes of keys under several spellings end where a model says, also after a kill', () =>
    forSeeds(folding.name, (seed) => randomChanges(folding, seed)))
})

/** What one namespace may hold: no two paths, of keys or of directories above them, that fold to one. */
class FoldedModel {
  readonly keys = new Map<string, string>()
  readonly #fold: (name: string) => string

  constructor(fold: (name: string) => string) {
    this.#fold = fold
  }

  /** False: refused, and nothing changed. */
  apply(operations: readonly Operation[]): boolean {
    const keys = new Map(this.keys)
    for (const operation of operations) if ('delete' in operation) keys.delete(operation.delete)
    for (const operation of operations) {
      if (!('write' in operation)) continue
      if (!keys.has(operation.write) && this.#isBlocked(keys, operation.write)) return false
      keys.set(operation.write, String(operation.value))
    }
    this.keys.clear()
    for (const [key, value] of keys) this.keys.set(key, value)
    return true
  }

  #isBlocked(keys: ReadonlyMap<string, string>, key: string): boolean {
    const mine = pathsOf(key)
    for (const used of keys.keys()) {
      for (const theirs of pathsOf(used)) {
        const clash = mine.find((path) => this.#fold(path) === this.#fold(theirs))
        if (clash === undefined) continue
        if (clash !== theirs || clash === key || theirs === used) return true
      }
    }
    return false
  }
}

/** The key itself and the directories above it. */
function pathsOf(key: string): string[] {
  const parts = key.split('/')
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'))
}

async function randomChanges(folding: Folding, seed: number): Promise<void> {
  const random = new Random(seed)
  const fold = (path: string): string => path.split('/').map(folding.fold).join('/')
  const [one, other] = folding.spellings
  const names = [one, other, 'x']
  const keyOf = (): string => Array.from({ length: random.between(1, 3) }, () => random.pick(names)).join('/')
  const model = new FoldedModel(fold)
  let root = `${temporaryDirectory()}/0`
  let fs = foldingFileSystem(root, folding)
  let runner = new HeldRunner(fs)
  let store = await openStore({ backend: fastBackend(root, { fs, runner: () => runner }) })
  let session = await store.init('n')
  const rounds = tortureSettings().isLong ? 1000 : 150
  for (let round = 0; round < rounds; round++) {
    const chosen = random.below(100)
    if (chosen < 3) {
      runner.hold()
    } else if (chosen < 6) {
      runner.release()
    } else if (chosen < 10) {
      // Killed, or closed.
      const next = `${root.slice(0, root.lastIndexOf('/'))}/${round + 1}`
      if (random.chance(0.5)) {
        copyTree(root, next)
        runner.release()
        await store.close()
        root = next
      } else {
        runner.release()
        await store.close()
      }
      fs = foldingFileSystem(root, folding)
      runner = new HeldRunner(fs)
      store = await openStore({ backend: fastBackend(root, { fs, runner: () => runner }) })
      session = await store.resume('n')
      const shown = await collect(session.entries())
      const entries = shown.map(({ key, value, external }) => [key, Buffer.from(value).toString(), external])
      const expected = [...model.keys].map(([key, value]) => [key, value, false])
      expect(entries.sort(byKey), `round ${round}`).toEqual(expected.sort(byKey))
    } else {
      const keys = new Set(Array.from({ length: random.chance(0.7) ? 1 : 3 }, keyOf))
      const operations = [...keys].map((key): Operation =>
        random.chance(0.4) ? { delete: key } : { write: key, value: `${key} ${round}` },
      )
      const taken = model.apply(operations)
      const error = await session.batch(operations).then(
        () => null,
        (reason: unknown) => reason,
      )
      expect(error === null, `round ${round}: ${JSON.stringify(operations)} ${String(error)}`).toBe(taken)
      if (error !== null) expect(error).toMatchObject({ code: 'KEY_BLOCKED' })
    }
  }
  runner.release()
  await store.close()
}

function byKey([a]: readonly unknown[], [b]: readonly unknown[]): number {
  return String(a) < String(b) ? -1 : 1
}

test('a file system that stores other names than it is given is refused: keys would come back under other names', async () => {
  const root = temporaryDirectory()
  const error = await refusal('ROOT_UNUSABLE', () => open(root, DECOMPOSING))
  expect(error.path).toBe(`${root}/.agent_state/tmp`)
  expect(readdirSync(error.path)).toEqual([])
})

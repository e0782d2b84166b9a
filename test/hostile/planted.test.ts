/**
 * Whatever somebody puts in any place of a root, before it is made, between two openings, after a kill or while it is open:
 * nothing outside of the root is touched, no call hangs, every answer is true, no other key is affected, and when it is
 * taken away the store is as it was (I1, I7, I8, I11).
 *
 * Not covered: files that this user may not read or write are in `permissions.test.ts`; what is exchanged between a look and
 * the call that follows it (Node can't open relative to a directory).
 */
import { lstatSync, rmSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Session, Store } from '../../src/api.js'
import { AgentStateError } from '../../src/errors.js'
import { openStore } from '../../src/store.js'
import type { FileBackendParts } from '../../src/backend/file/file-backend.js'
import type { TaskRunner } from '../../src/backend/file/task-runner.js'
import { unsyncedFileSystem } from '../backend/file/faulty-file-system.js'
import { HeldRunner } from '../damage/support/held-runner.js'
import { fastBackend } from '../damage/support/left-root.js'
import { temporaryDirectory } from '../damage/support/temporary-directory.js'
import { tortureSettings } from '../durability/support/settings.js'
import { makeOutside, plant, PLANTED, snapshot, type PlantedKind } from './support/plant.js'

const isLong = tortureSettings().isLong

/** Places of the store's own. What is lost there may be lost for all. */
const OWN = [
  '.agent_state',
  '.agent_state/lock',
  '.agent_state/format',
  '.agent_state/checkpoint',
  '.agent_state/.gitignore',
  '.agent_state/journal',
  '.agent_state/journal/0000000000000001',
  '.agent_state/journal/0000000000000002',
  '.agent_state/journal/0000000000000003',
  '.agent_state/tmp',
  '.agent_state/tmp/format',
  '.agent_state/preserved',
] as const

/** Places of one namespace, and which keys they affect; null: all. */
const PLACES = [
  ['agent', null],
  ['agent/a', ['a']],
  ['agent/d', ['d/x']],
  ['agent/d/x', ['d/x']],
  ['agent/.agent_state_meta', null],
  ['agent/.agent_state_meta/a.json', ['a']],
  ['agent/.agent_state_meta/d', ['d/x']],
  ['agent/.agent_state_meta/.agent_state_meta', []],
] as const satisfies readonly (readonly [string, readonly string[] | null])[]

const KEYS = ['a', 'd/x', 'bystander'] as const
type Key = (typeof KEYS)[number]

type Moment = 'before it is made' | 'between two openings' | 'after a kill' | 'while it is open'
const MOMENTS: readonly Moment[] = [
  'before it is made',
  'between two openings',
  'after a kill',
  'while it is open',
]

/** What may be answered because of something in the way. `null`: it went well. */
type Answer = { readonly code: string; readonly outcome: string } | null

async function answerOf(act: () => Promise<unknown>): Promise<Answer> {
  try {
    await act()
    return null
  } catch (error) {
    if (AgentStateError.is(error)) return { code: error.code, outcome: error.outcome }
    throw new Error(`this is no error of the store: ${String(error)}`, { cause: error })
  }
}

class Trial {
  readonly directory = temporaryDirectory()
  readonly root = `${this.directory}/root`
  readonly outside = makeOutside(this.directory)
  readonly before = snapshot(this.outside)
  /** What was acknowledged last for each key; undefined: nobody knows. */
  readonly expected = new Map<string, string | null | undefined>()
  number = 0

  /** The lock is only taken where something is done to it: that starts processes. */
  readonly #parts: Partial<FileBackendParts>

  constructor(place: string) {
    this.#parts = place.endsWith('lock') ? {} : { acquireLock: async () => ({ release() {} }) }
  }

  async open(runner?: TaskRunner): Promise<Store> {
    const parts = runner === undefined ? this.#parts : { ...this.#parts, runner: () => runner }
    const store = await openStore({ backend: fastBackend(this.root, parts), limits: { spaceWaitMs: 1 } })
    store.events.on('warning', () => {})
    return store
  }

  async fill(): Promise<void> {
    const store = await this.open()
    await this.write(await store.init('agent'))
    await this.write(await store.init('other'))
    await store.close()
  }

  /** What is written is in the journal, and nowhere else. */
  async leaveBacklog(): Promise<void> {
    const runner = new HeldRunner(unsyncedFileSystem)
    const store = await this.open(runner)
    runner.refuse()
    await this.write(await store.resume('agent'))
    await answerOf(() => store.close({ flush: false }))
  }

  /** What lies at the place and below it goes away with what is planted there. */
  forget(place: string): void {
    for (const name of this.expected.keys()) {
      if (name === place || name.startsWith(`${place}/`)) this.expected.delete(name)
    }
  }

  async write(session: Session): Promise<Map<Key, Answer>> {
    const answers = new Map<Key, Answer>()
    for (const key of KEYS) {
      const value = `${key} ${this.number++}`
      const answer = await answerOf(() => session.write(key, value))
      answers.set(key, answer)
      const name = `${session.namespace}/${key}`
      if (answer === null) this.expected.set(name, value)
      else if (answer.outcome !== 'unchanged') this.expected.set(name, undefined)
    }
    return answers
  }

  expectOutsideUntouched(): void {
    expect(snapshot(this.outside)).toEqual(this.before)
  }
}

/** All of them in a long run; otherwise every third, another one at each place. */
function kindsFor(moment: Moment, place: string): readonly PlantedKind[] {
  const shift = MOMENTS.indexOf(moment) + [...OWN, ...PLACES.map(([name]) => name)].indexOf(place as never)
  return isLong ? PLANTED : PLANTED.filter((_, index) => (index + shift) % 3 === 0)
}

/** All that can be asked of a store; each must be answered. Returns how reads and writes of the keys went. */
async function use(trial: Trial, store: Store, namespace: string): Promise<Map<string, Answer>> {
  const answers = new Map<string, Answer>()
  let session: Session | null = null
  answers.set('resume', await answerOf(async () => (session = await store.resume(namespace))))
  if (session === null) {
    answers.set('init', await answerOf(async () => (session = await store.init(namespace))))
    if (session === null) return answers
  }
  const opened: Session = session
  answers.set('list', await answerOf(() => opened.list()))
  for (const key of KEYS) answers.set(`read ${key}`, await answerOf(() => opened.read(key)))
  for (const [key, answer] of await trial.write(opened)) answers.set(`write ${key}`, answer)
  for (const key of KEYS) {
    const name = `${namespace}/${key}`
    if (answers.get(`write ${key}`) === null)
      expect(await opened.read(key), `read back ${name}`).toBe(trial.expected.get(name))
  }
  answers.set('flush', await answerOf(() => store.flush()))
  const deleted = await answerOf(() => opened.delete('d/x'))
  if (deleted === null) trial.expected.set(`${namespace}/d/x`, null)
  answers.set('delete', deleted)
  answers.set('flush again', await answerOf(() => store.flush()))
  return answers
}

async function expectAll(trial: Trial, store: Store): Promise<void> {
  for (const [name, value] of trial.expected) {
    if (value === undefined) continue
    const [namespace = '', ...rest] = name.split('/')
    expect(await (await store.resume(namespace)).read(rest.join('/')), name).toBe(value)
  }
}

/** Lets somebody plant something; returns an open store, or why there is none. */
async function begin(
  trial: Trial,
  moment: Moment,
  kind: PlantedKind,
  place: string,
): Promise<Store | Answer | 'not here'> {
  const path = `${trial.root}/${place}`
  let store: Store | null = null
  if (moment !== 'before it is made') await trial.fill()
  if (moment === 'while it is open') store = await trial.open()
  if (moment === 'after a kill') await trial.leaveBacklog()
  else trial.forget(place)
  if (!plant(kind, path, trial.outside)) return 'not here'
  if (store !== null) return store
  const answer = await answerOf(async () => (store = await trial.open()))
  return store ?? answer
}

const OPENING_CODES = ['ROOT_UNUSABLE', 'METADATA_CORRUPT', 'JOURNAL_CORRUPT', 'READ_FAILED', 'NO_SPACE']

describe.each(MOMENTS)('planted %s', (moment) => {
  test.each(OWN)('at %s', async (place) => {
    for (const kind of kindsFor(moment, place)) {
      const trial = new Trial(place)
      const what = `${kind}: `
      const store = await begin(trial, moment, kind, place)
      if (store === 'not here') continue
      if (store !== null && 'code' in store) {
        expect(OPENING_CODES, what).toContain(store.code)
        trial.expectOutsideUntouched()
        continue
      }
      await use(trial, store!, 'agent')
      await use(trial, store!, 'other')
      await answerOf(() => store!.close())
      trial.expectOutsideUntouched()
      // A journal that was taken away took with it what was only there.
      if (moment === 'while it is open') continue
      const again = await trial.open()
      await expectAll(trial, again)
      await again.close()
      trial.expectOutsideUntouched()
    }
  })

  test.each(PLACES)('at %s', async (place, affected) => {
    for (const kind of kindsFor(moment, place)) {
      const trial = new Trial(place)
      const store = await begin(trial, moment, kind, place)
      if (store === 'not here') continue
      if (store === null || 'code' in store)
        throw new Error(`${kind}: the root does not open: ${JSON.stringify(store)}`)
      const path = `${trial.root}/${place}`
      const answers = await use(trial, store, 'agent')
      for (const [call, answer] of answers) {
        const isAffected = affected === null || affected.some((key) => call.endsWith(` ${key}`))
        if (isAffected || /^(resume|flush|flush again|delete)$/.test(call)) {
          const codes = [
            null,
            'READ_FAILED',
            'TREE_STUCK',
            'NAMESPACE_NOT_FOUND',
            'KEY_BLOCKED',
            'METADATA_CORRUPT',
          ]
          expect(codes, `${kind}, ${call}`).toContain(answer?.code ?? null)
        } else {
          expect({ [`${kind}, ${call}`]: answer }).toEqual({ [`${kind}, ${call}`]: null })
        }
      }
      const others = await use(trial, store, 'other')
      for (const [call, answer] of others) {
        if (call === 'resume' || call.startsWith('flush')) continue
        expect({ [`${kind}, other: ${call}`]: answer }).toEqual({ [`${kind}, other: ${call}`]: null })
      }
      trial.expectOutsideUntouched()
      const closing = await answerOf(() => store.close())
      expect([null, 'CLOSE_INCOMPLETE'], kind).toContain(closing?.code ?? null)
      expect(lstatSync(`${trial.root}/other/bystander`).isFile()).toBe(true)
      trial.expectOutsideUntouched()

      if (closing !== null) rmSync(path, { recursive: true, force: true })
      const again = await trial.open()
      await expectAll(trial, again)
      expect(await answerOf(() => again.close()), kind).toBeNull()
      trial.expectOutsideUntouched()
    }
  })
})

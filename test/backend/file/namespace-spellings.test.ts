import { describe, expect, test } from 'vitest'
import type { CommitOutcome, Plan } from '../../../src/backend/backend.js'
import { NamespaceSpellings } from '../../../src/backend/file/namespace-spellings.js'
import { deferred, refusal } from '../../../src/contract/observe.js'
import { stateError } from '../../../src/errors.js'
import { planOf } from './committing.js'

const COMMITTED: CommitOutcome = { status: 'committed', revision: 1 }
const FULL: CommitOutcome = { status: 'rejected', error: stateError('NO_SPACE', 'full', {}) }
const SHARED = { status: 'rejected', error: { code: 'INVALID_NAMESPACE' } }

/** Directories, and what is asked of journal and tree. */
class Parts {
  readonly directories: Set<string>
  readonly committed: string[] = []
  readonly removals: string[] = []
  answer: CommitOutcome = COMMITTED
  before: () => Promise<void> = async () => {}
  untilRemoved: (namespace: string) => Promise<void> = async () => {}

  constructor(directories: readonly string[]) {
    this.directories = new Set(directories)
  }

  readonly source = {
    namespaces: async () => [...this.directories],
    load: async (namespace: string) => {
      const exists = [...this.directories].some((name) => name.toLowerCase() === namespace.toLowerCase())
      return { exists, keys: [] }
    },
  }

  readonly commits = {
    commit: async (plans: readonly Plan[]) => {
      await this.before()
      this.committed.push(...plans.map(({ namespace }) => namespace))
      return plans.map(() => this.answer)
    },
  }

  readonly materializer = {
    untilRemoved: async (namespace: string) => {
      this.removals.push(namespace)
      await this.untilRemoved(namespace)
    },
  }
}

async function given(...directories: string[]): Promise<{ parts: Parts; spellings: NamespaceSpellings }> {
  const parts = new Parts(directories)
  const spellings = new NamespaceSpellings((name) => name.toLowerCase(), parts)
  await spellings.start()
  return { parts, spellings }
}

const create = (name: string): Plan => planOf(name, 'create')

describe('NamespaceSpellings', () => {
  test('a namespace is loaded under its own spelling only', async () => {
    const { spellings } = await given('Plan')
    expect((await spellings.load('Plan')).exists).toBe(true)
    expect((await spellings.load('other')).exists).toBe(false)
    const error = await refusal('INVALID_NAMESPACE', () => spellings.load('plan'))
    expect(error).toMatchObject({ namespace: 'plan', outcome: 'unchanged' })
  })

  test('a directory that somebody made meanwhile has the spelling that it was given', async () => {
    const { parts, spellings } = await given()
    parts.directories.add('Late')
    await refusal('INVALID_NAMESPACE', () => spellings.load('late'))
    expect((await spellings.load('Late')).exists).toBe(true)
  })

  test('a plan that would make a second spelling is rejected, and fails no other', async () => {
    const { parts, spellings } = await given('Plan')
    const outcomes = await spellings.commit([
      create('plan'),
      create('a'),
      create('A'),
      planOf('Plan', 'remove'),
    ])
    expect(parts.committed).toEqual(['a', 'Plan'])
    expect(outcomes).toMatchObject([SHARED, COMMITTED, SHARED, COMMITTED])
    // Its files are still there.
    expect(await spellings.commit([create('plan')])).toMatchObject([SHARED])
    spellings.release('Plan')
    expect(await spellings.commit([create('plan')])).toEqual([COMMITTED])
  })

  test('what was not made leaves its name free, unless it was in use before', async () => {
    const { parts, spellings } = await given('Old')
    parts.answer = FULL
    expect(await spellings.commit([create('new'), planOf('Old', 'remove', 'create')])).toEqual([FULL, FULL])
    parts.answer = COMMITTED
    expect(await spellings.commit([create('New'), create('old')])).toMatchObject([COMMITTED, SHARED])
  })

  test('a removal that is under way is waited for', async () => {
    const { parts, spellings } = await given('Plan')
    parts.untilRemoved = async (namespace) => {
      parts.directories.delete(namespace)
      spellings.release(namespace)
    }
    expect(await spellings.load('plan')).toEqual({ exists: false, keys: [] })
    expect(await spellings.commit([create('PLAN')])).toEqual([COMMITTED])
    expect(parts.removals).toEqual(['Plan'])
    parts.untilRemoved = async () => {}
    expect(await spellings.commit([create('plan')])).toMatchObject([SHARED])
  })

  test('files that are gone do not free a name that is being made again', async () => {
    const { parts, spellings } = await given('a')
    const committing = deferred()
    parts.before = () => committing.promise
    const first = spellings.commit([create('a')])
    const second = spellings.commit([create('a')])
    spellings.release('a')
    expect(await spellings.commit([create('A')])).toMatchObject([SHARED])
    committing.resolve()
    await Promise.all([first, second])
    spellings.release('a')
    expect(await spellings.commit([create('A')])).toEqual([COMMITTED])
  })
})

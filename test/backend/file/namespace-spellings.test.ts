import { describe, expect, test } from 'vitest'
import type { CommitOutcome, Plan } from '../../../src/backend/backend.js'
import { NamespaceSpellings } from '../../../src/backend/file/namespace-spellings.js'
import { deferred } from '../../../src/contract/observe.js'
import { stateError } from '../../../src/errors.js'
import { planOf } from './committing.js'

const COMMITTED: CommitOutcome = { status: 'committed', revision: 1 }
const REJECTED: CommitOutcome = { status: 'rejected', error: stateError('NO_SPACE', 'full', {}) }

function given(...names: string[]): NamespaceSpellings {
  return new NamespaceSpellings((name) => name.toLowerCase(), names)
}

const answering = (outcome: CommitOutcome) => (plans: readonly Plan[]) =>
  Promise.resolve(plans.map(() => outcome))

describe('NamespaceSpellings', () => {
  test('tells the spelling that is in use from others', () => {
    const spellings = given('Plan')
    expect([spellings.otherThan('plan'), spellings.otherThan('Plan'), spellings.otherThan('x')]).toEqual([
      'Plan',
      null,
      null,
    ])
    expect([spellings.isUsed('Plan'), spellings.isUsed('plan')]).toEqual([true, false])
    spellings.release('plan')
    expect(spellings.isUsed('Plan')).toBe(true)
    spellings.release('Plan')
    expect(spellings.otherThan('plan')).toBeNull()
  })

  test('a plan that would make a second spelling is rejected, and fails no other, in the plans’ order', async () => {
    const spellings = given('Plan')
    const asked: string[] = []
    const plans = [
      planOf('plan', 'create'),
      planOf('a', 'create'),
      planOf('A', 'create'),
      planOf('Plan', 'remove'),
    ]
    const outcomes = await spellings.commit(plans, (taken) => {
      asked.push(...taken.map(({ namespace }) => namespace))
      return answering(COMMITTED)(taken)
    })
    expect(asked).toEqual(['a', 'Plan'])
    const refused = { status: 'rejected', error: { code: 'INVALID_NAMESPACE' } }
    expect(outcomes).toMatchObject([refused, COMMITTED, refused, COMMITTED])
    expect(await spellings.commit([planOf('plan', 'create')], answering(COMMITTED))).toMatchObject([refused])
  })

  test('what was not made leaves its name free, unless it was in use before', async () => {
    const spellings = given('Old')
    const plans = [planOf('new', 'create'), planOf('Old', 'remove', 'create')]
    expect(await spellings.commit(plans, answering(REJECTED))).toEqual([REJECTED, REJECTED])
    expect([spellings.otherThan('New'), spellings.otherThan('old')]).toEqual([null, 'Old'])
  })

  test('files that are gone do not free a name that is being made again', async () => {
    const spellings = given('a')
    const committed = deferred<readonly CommitOutcome[]>()
    const committing = spellings.commit([planOf('a', 'create')], () => committed.promise)
    spellings.release('a')
    expect(spellings.otherThan('A')).toBe('a')
    committed.resolve([COMMITTED])
    await committing
    spellings.release('a')
    expect(spellings.otherThan('A')).toBeNull()
  })
})

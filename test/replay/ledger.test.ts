import { describe, expect, test } from 'vitest'
import { Ledger } from '../../src/replay/ledger.js'
import type { Acknowledgement } from '../../src/replay/messages.js'
import type { PlannedBatch } from '../../src/replay/plan.js'

function planned(...commits: number[]): PlannedBatch[] {
  return commits.map((commit) => ({ commit, overwrites: [] }))
}

function newLedger(): Ledger {
  return new Ledger(
    new Map([
      ['x', planned(0, 2, 5, 7)],
      ['y', planned(1, 2)],
    ]),
  )
}

function acknowledgement(namespace: string, commit: number, revision: number): Acknowledgement {
  return { namespace, commit, revision, operations: 3, overwrites: [], wrongConflicts: [] }
}

function problems(ledger: Ledger): string[] {
  return ledger.losses.map(({ namespace, commit, problem }) => `${namespace} ${commit} ${problem}`)
}

describe('the ledger', () => {
  test('counts what is acknowledged and what is open', () => {
    const ledger = newLedger()
    ledger.compare([])
    expect([ledger.acknowledged, ledger.open]).toEqual([0, 6])
    ledger.acknowledge(acknowledgement('x', 0, 1))
    ledger.acknowledge(acknowledgement('y', 1, 2))
    expect([ledger.acknowledged, ledger.open, ledger.operations]).toEqual([2, 4, 6])
    expect(ledger.losses).toEqual([])
  })

  test('takes what is durable and was not acknowledged as found, and goes on from there', () => {
    const ledger = newLedger()
    ledger.acknowledge(acknowledgement('x', 0, 1))
    ledger.compare([
      { namespace: 'x', commit: 5, revision: 9 },
      { namespace: 'y', commit: 1, revision: 2 },
    ])
    expect([ledger.foundDurable, ledger.acknowledged, ledger.open]).toEqual([3, 1, 2])
    ledger.acknowledge(acknowledgement('x', 7, 10))
    ledger.acknowledge(acknowledgement('y', 2, 11))
    ledger.compare([
      { namespace: 'x', commit: 7, revision: 10 },
      { namespace: 'y', commit: 2, revision: 11 },
    ])
    expect([ledger.foundDurable, ledger.acknowledged, ledger.open]).toEqual([3, 3, 0])
    expect(ledger.losses).toEqual([])
  })

  test('names what was acknowledged and is not durable (I1)', () => {
    const ledger = newLedger()
    for (const [commit, revision] of [
      [0, 1],
      [2, 2],
      [5, 3],
    ] as const) {
      ledger.acknowledge(acknowledgement('x', commit, revision))
    }
    ledger.compare([{ namespace: 'x', commit: 0, revision: 1 }])
    expect(problems(ledger)).toEqual(['x 2 was acknowledged and is lost', 'x 5 was acknowledged and is lost'])
    expect(ledger.open).toBe(5)
  })

  test('names a whole namespace that is gone', () => {
    const ledger = newLedger()
    ledger.acknowledge(acknowledgement('y', 1, 1))
    ledger.compare([])
    expect(problems(ledger)).toEqual(['y 1 was acknowledged and is lost'])
  })

  test('names what one process found durable and the next one does not', () => {
    const ledger = newLedger()
    ledger.compare([{ namespace: 'x', commit: 2, revision: 2 }])
    ledger.compare([{ namespace: 'x', commit: 0, revision: 1 }])
    expect(problems(ledger)).toEqual(['x 2 was durable and is lost'])
    expect(ledger.foundDurable).toBe(1)
  })

  test('names another revision than the one acknowledged', () => {
    const ledger = newLedger()
    ledger.acknowledge(acknowledgement('x', 0, 1))
    ledger.compare([{ namespace: 'x', commit: 0, revision: 4 }])
    expect(problems(ledger)).toEqual(['x 0 was acknowledged as revision 1 and is now 4'])
  })

  test('names batches and namespaces that the history has not, and batches acknowledged twice', () => {
    const ledger = newLedger()
    ledger.acknowledge(acknowledgement('z', 0, 1))
    ledger.acknowledge(acknowledgement('x', 1, 1))
    ledger.acknowledge(acknowledgement('x', 0, 1))
    ledger.acknowledge(acknowledgement('x', 0, 2))
    ledger.compare([
      { namespace: 'x', commit: 0, revision: 1 },
      { namespace: 'y', commit: 9, revision: 1 },
      { namespace: 'z', commit: 0, revision: 1 },
    ])
    expect(problems(ledger)).toEqual([
      'z 0 was acknowledged though it was not to be done',
      'x 1 was acknowledged though it was not to be done',
      'x 0 was acknowledged though it was not to be done',
      'y 9 is not part of the namespace',
      'z 0 is in a namespace that the history has not',
    ])
  })

  test('keeps who overwrote whom', () => {
    const ledger = newLedger()
    const overwrite = { namespace: 'x', key: 'a', by: 'one', over: 'two' }
    ledger.acknowledge({ ...acknowledgement('x', 0, 1), overwrites: [overwrite], wrongConflicts: ['what'] })
    expect(ledger.overwrites).toEqual([overwrite])
    expect(ledger.wrongConflicts).toEqual(['what'])
  })

  test('takes from the history who overwrote whom in batches that were found durable', () => {
    const [one, two, three] = ['a', 'b', 'c'].map((key) => ({ namespace: 'x', key, by: 'one', over: 'two' }))
    const ledger = new Ledger(
      new Map([
        [
          'x',
          [
            { commit: 0, overwrites: [one!] },
            { commit: 1, overwrites: [two!] },
            { commit: 2, overwrites: [three!] },
          ],
        ],
      ]),
    )
    ledger.acknowledge({ ...acknowledgement('x', 0, 1), overwrites: [one!] })
    ledger.compare([{ namespace: 'x', commit: 1, revision: 2 }])
    expect([ledger.overwrites, ledger.unreportedOverwrites]).toEqual([[one], [two]])
  })

  test('names what is there and is not what the history has at that point', () => {
    const ledger = newLedger()
    ledger.audit({ namespace: 'x', commit: 2, files: 7, differences: [] })
    ledger.audit({ namespace: 'y', commit: 1, files: 2, differences: ['a is missing'] })
    expect(ledger.audited).toBe(9)
    expect(problems(ledger)).toEqual(['y 1 was durable, but then a is missing'])
  })
})

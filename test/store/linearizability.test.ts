import { describe, expect, test } from 'vitest'
import { describeHistories } from '../helpers/describe-histories.js'
import { checkLinearizable } from '../helpers/linearizability.js'
import { memoryStores } from '../helpers/stores.js'

describe('the check for linearizability', () => {
  test('finds a read that is too old, one from the future, and writes out of order', () => {
    const early = { kind: 'write', key: 'k', revision: 1, start: 0, end: 1 } as const
    const late = { kind: 'write', key: 'k', revision: 2, start: 2, end: 3 } as const
    const read = { kind: 'read', key: 'k', start: 4, end: 5 } as const
    expect(() => checkLinearizable([early, late, { ...read, revision: 2 }])).not.toThrow()
    expect(() => checkLinearizable([early, late, { ...read, revision: 1 }])).toThrow(/stale/)
    expect(() => checkLinearizable([early, late, { ...read, revision: null }])).toThrow(/stale/)
    expect(() =>
      checkLinearizable([early, { ...read, start: 1, end: 2, revision: 2 }, { ...late, start: 6, end: 7 }]),
    ).toThrow(/future/)
    expect(() => checkLinearizable([{ ...early, revision: 3 }, late])).toThrow(/order/)
    const other = { kind: 'write', key: 'other', revision: 3, start: 6, end: 9 } as const
    const seen = { kind: 'read', key: 'other', revision: 3, start: 6, end: 7 } as const
    const before = { kind: 'read', key: 'k', revision: 1, start: 8, end: 9 } as const
    const overlapping = { ...late, start: 2, end: 20 }
    expect(() => checkLinearizable([early, overlapping, other, seen, before])).toThrow(/stale/)
  })
})

describeHistories(memoryStores, 10)

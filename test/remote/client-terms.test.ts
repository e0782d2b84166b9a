import { describe, expect, test } from 'vitest'
import type { Writer } from '../../src/api.js'
import type { ChangeTerms } from '../../src/requests.js'
import { BatchReader } from '../../src/remote/batch-reader.js'
import { BatchWriter } from '../../src/remote/batch-writer.js'
import { UNBOUNDED } from '../../src/remote/bounds.js'
import { ClientTerms } from '../../src/remote/client-terms.js'
import { HostTerms } from '../../src/remote/host-terms.js'
import { CALL, TERMS_SLOTS } from '../../src/remote/wire.js'

function termsOf(writer: Writer | null, detect: ChangeTerms['detect'] = 'lost-update'): ChangeTerms {
  return { writer, detect, conflictPolicy: 'warn', durability: 'journal', repairMetadata: false }
}

/** Both sides: what the host takes a change's terms to be, and how often it was told some. */
function given() {
  const [client, host, batch] = [new ClientTerms(), new HostTerms(UNBOUNDED), new BatchWriter()]
  let told = 0
  return {
    told: (): number => told,
    cross: (terms: ChangeTerms): ChangeTerms => {
      const slot = client.slot(terms, batch)
      const reader = new BatchReader(structuredClone(batch.take()))
      for (; !reader.isAtEnd; told++) {
        expect(reader.next()).toBe(CALL.TERMS)
        host.define(reader)
      }
      return host.get(slot)
    },
  }
}

describe('the terms of changes', () => {
  test('travel once for all sessions with the same identity and policies', () => {
    const { cross, told } = given()
    for (let round = 0; round < 3; round++) {
      // Objects of their own, as sessions have them.
      expect(cross(termsOf({ writerId: 'ann' }))).toEqual(termsOf({ writerId: 'ann' }))
      expect(cross(termsOf({ writerId: 'ann', stageId: 's' })).writer).toEqual({
        writerId: 'ann',
        stageId: 's',
      })
      expect(cross(termsOf({ writerId: 'ann' }, 'writer-change')).detect).toBe('writer-change')
      expect(cross(termsOf(null)).writer).toBeNull()
    }
    expect(told()).toBe(4)
  })

  test('are those of the change, however many identities there are', () => {
    const { cross, told } = given()
    const all = Array.from({ length: TERMS_SLOTS + 10 }, (_, index) => termsOf({ writerId: `w${index}` }))
    for (const terms of [...all, ...all.slice(5).toReversed(), ...all]) expect(cross(terms)).toEqual(terms)
    // Those that were given a number first have lost it, and the last ones kept theirs.
    expect(told()).toBeGreaterThan(all.length)
    const before = told()
    for (const terms of all.slice(-TERMS_SLOTS)) cross(terms)
    expect(told()).toBe(before)
  })
})

import { expect, test } from 'vitest'
import type { ConflictEvent } from '../../src/api.js'
import type { Backend } from '../../src/backend/backend.js'
import { ConflictLog } from '../../src/coordinator/conflict-log.js'

function eventOf(key: string): ConflictEvent {
  return {
    namespace: 'n',
    key,
    rule: 'lost-update',
    current: { writerId: 'ann' },
    previous: null,
    previousRevision: 1,
    seenRevision: 1,
    policy: 'ignore',
    outcome: 'written',
    revision: 2,
    atMs: 3,
  }
}

function given(earlier: readonly string[] = []) {
  const state = { lines: earlier, canRead: true, saves: 0 }
  const warnings: string[] = []
  const backend = {
    loadConflicts: async () => {
      if (!state.canRead) throw new Error('too many open files')
      return state.lines
    },
    saveConflicts: async (lines: readonly string[]) => {
      state.saves++
      state.lines = lines
    },
  } as unknown as Backend
  return { state, warnings, log: new ConflictLog(3, backend, (message) => warnings.push(message)) }
}

const keysOf = (events: readonly ConflictEvent[]): string[] => events.map(({ key }) => key)

test('what can not be read is not written over, and is asked for again', async () => {
  const { state, warnings, log } = given([JSON.stringify(eventOf('a'))])
  state.canRead = false
  log.add(eventOf('b'))
  await log.save()
  expect(state.saves).toBe(0)
  expect(warnings).toEqual([expect.stringContaining('too many open files')])
  await expect(log.entries()).rejects.toThrow('too many open files')
  state.canRead = true
  expect(keysOf(await log.entries())).toEqual(['a', 'b'])
  log.add(eventOf('c'))
  await log.save()
  expect(state.lines.length).toBe(3)
})

test('an event without writers is none of ours', async () => {
  const { log } = given(['{"namespace":"n","key":"k","atMs":1}', JSON.stringify(eventOf('a'))])
  expect(keysOf(await log.entries())).toEqual(['a'])
})

test('nothing is written where nothing was added', async () => {
  const { state, log } = given()
  await log.save()
  expect(state.saves).toBe(0)
})

import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { AgentStateError, openStore, type Session } from 'agent-state'
import { describe, expect, test, vi } from 'vitest'
import { forSeeds, tortureSettings } from '../durability/support/settings.js'
import { isWholeValue, NAMESPACES, operationAt, valueOf } from '../fixtures/kill-operations.mjs'
import { makeRoot } from '../helpers/file-stores.js'
import { randomFrom } from '../helpers/fuzz-settings.js'
import { KillExpectation, observe, type Observed } from '../helpers/kill-expectation.js'
import { runUntilKilled, type Said } from '../helpers/killed-writer.js'

vi.setConfig({ testTimeout: tortureSettings().testTimeoutMs })

/** Kills of the process that works on one root. */
const ROUNDS = 8

/** Every file that people see, with what it holds. */
async function bareTree(root: string): Promise<{ path: string; text: string }[]> {
  const found: { path: string; text: string }[] = []
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true }).catch(() => [])) {
    const path = join(entry.parentPath, entry.name)
    if (!entry.isFile() || path.includes('.agent_state')) continue
    found.push({ path, text: await readFile(path, 'utf8') })
  }
  return found
}

async function observeNamespace(resume: Promise<Session>): Promise<Observed> {
  try {
    return await observe(await resume)
  } catch (error) {
    if (AgentStateError.is(error, 'NAMESPACE_NOT_FOUND')) return null
    throw error
  }
}

describe('the check of what a kill may leave', () => {
  const seed = 1
  const first = Array.from({ length: 1000 }, (_, index) => index).find((index) => {
    const operation = operationAt(seed, index)
    return operation.kind === 'change' && operation.changes.filter(({ value }) => value !== null).length > 1
  })!
  const operation = operationAt(seed, first)
  if (operation.kind !== 'change') throw new Error('the first operation is a change')
  const whole = new Map(
    operation.changes.flatMap(({ key, value }) =>
      value === null ? [] : [[key, { text: `${operation.writer}: ${value}`, revision: 7 }] as const],
    ),
  )
  const said = (acknowledged: ReadonlyMap<number, number>): Said => ({
    made: new Set([operation.namespace]),
    acknowledged,
    refused: new Set(),
    inFlight: 1,
  })
  const check = (acknowledged: ReadonlyMap<number, number>, observed: Observed): KillExpectation => {
    const expectation = new KillExpectation(operation.namespace, seed)
    expectation.advance(first, said(acknowledged), observed)
    return expectation
  }

  test('accepts what was acknowledged, and what was not as a whole or not at all', () => {
    check(new Map([[first, 7]]), whole)
    check(new Map(), whole)
    check(new Map(), new Map())
  })

  test('finds a lost change, a part of a batch, a wrong writer, a lost namespace and a revision given twice', () => {
    expect(() => check(new Map([[first, 7]]), new Map())).toThrow(/no state/)
    expect(() => check(new Map(), new Map([...whole].slice(1)))).toThrow(/no state/)
    const wrongWriter = new Map(
      [...whole].map(([key, { text }]) => [key, { text: `somebody${text}`, revision: 7 }]),
    )
    expect(() => check(new Map(), wrongWriter)).toThrow(/no state/)
    expect(() => check(new Map(), null)).toThrow(/no state/)
    expect(() => check(new Map([[first, 6]]), whole)).toThrow(/revision 6/)
    const again = check(new Map([[first, 7]]), whole)
    expect(() => again.advance(first, said(new Map([[first, 7]])), whole)).toThrow(/given again/)
  })

  test('tells a whole value from a part of one', () => {
    expect(isWholeValue(valueOf(12, 100))).toBe(true)
    for (const part of [
      '',
      valueOf(12, 100).slice(0, -1),
      valueOf(12, 100).slice(1),
      `${valueOf(1, 2)}${valueOf(1, 2)}`,
    ]) {
      expect(isWholeValue(part)).toBe(false)
    }
  })
})

describe('kill -9 of a writing process', () => {
  test('I1, I3, I4, I5, I10: every acknowledged change is there, the others as a whole or not at all, in order, again and again', () =>
    forSeeds('kill -9', async (seed) => {
      const random = randomFrom(seed)
      const root = await makeRoot()
      const expectations = NAMESPACES.map((namespace) => new KillExpectation(namespace, seed))
      let first = 0
      try {
        for (let round = 0; round < ROUNDS; round += 1) {
          const lines = round % 4 === 3 ? 1 + Math.floor(random() * 4) : 5 + Math.floor(random() * 2000)
          const inFlight = [1, 10, 100, 1000][Math.floor(random() * 4)]!
          const said = await runUntilKilled({ root, seed, first, inFlight, lines })
          for (const { path, text } of await bareTree(root))
            expect(isWholeValue(text), `${path} is whole`).toBe(true)
          const store = await openStore({ root })
          for (const expectation of expectations) {
            expectation.advance(first, said, await observeNamespace(store.resume(expectation.namespace)))
          }
          await store.close({ flush: random() < 0.5 })
          first = Math.max(first, ...said.acknowledged.keys(), ...said.refused) + 10_000
        }
      } finally {
        await rm(root, { recursive: true, force: true })
      }
    }))
})

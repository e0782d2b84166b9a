/** What `support/acts/busy.mjs` has noted of what it was told, against what is in the store. */
import type { Session } from 'agent-state'
import { expect } from 'vitest'
import { ACKNOWLEDGED, ASKED, COUNTER, keyOf, KEYS, valueOf } from './support/thread-notes.mjs'
import type { AgentThread } from './threads.js'

export type Noted = Pick<AgentThread, 'marks' | 'counters'>

/** Fails unless what threads have noted while they were `busy` fits what is there. */
export async function checkContents(
  session: Session,
  threads: Readonly<Record<string, Noted>>,
): Promise<void> {
  const wrong: string[] = []
  for (const [name, { marks }] of Object.entries(threads)) {
    const acknowledged = lastIndexes(marks)
    for (let slot = 0; slot < KEYS; slot++) {
      const key = keyOf(name, slot)
      const found = await session.entry(key)
      const text = Buffer.from(found?.value ?? '').toString()
      const index = found === null ? -1 : Number(text.split(' ')[1])
      if (index < acknowledged[slot]!)
        wrong.push(`${key}: ${acknowledged[slot]} was acknowledged, ${index} is there`)
      if (found === null) continue
      if (text !== valueOf(name, index) || found.writer?.writerId !== name) wrong.push(`${key} is damaged`)
      if (marks[index] !== ASKED && marks[index] !== ACKNOWLEDGED)
        wrong.push(`${key}: nobody asked for ${index}`)
    }
  }
  expect(wrong).toEqual([])
  const sum = (counter: number): number =>
    Object.values(threads).reduce((total, { counters }) => total + counters[counter]!, 0)
  const counted = Number(await session.read('counter'))
  expect(counted).toBeGreaterThanOrEqual(sum(COUNTER.UPDATES_ACKNOWLEDGED))
  expect(counted).toBeLessThanOrEqual(sum(COUNTER.UPDATES_ASKED))
}

/** For every key the last write that was acknowledged, or -1. */
function lastIndexes(marks: Uint8Array): number[] {
  const last = Array.from({ length: KEYS }, () => -1)
  for (const [index, mark] of marks.entries()) if (mark === ACKNOWLEDGED) last[index % KEYS] = index
  return last
}

/** The handover document of a namespace. */
import { expect } from 'vitest'
import { misuse, refusal } from '../observe.js'
import type { Given } from '../given.js'

const TYPED = {
  source_persona: 'planner',
  target_persona_or_human: { kind: 'human', label: 'Ada' },
  task: 'Review the plan',
  reason: 'It needs a decision',
  evidence_refs: [{ label: 'plan', path: 'evidence/plan.json' }],
  files_or_entities_touched: ['plan.json'],
  open_questions: ['Which one?'],
  blocked_on: [],
  requested_capabilities: ['read'],
  allowed_side_effects: [],
  budget_remaining: null,
  deadline_checkback: null,
  confidence: 0.5,
}

export function handoffs(given: Given): void {
  given.test(
    '`writeHandoff` writes the document `__handoff.json`, and `readHandoff` gives it back',
    async () => {
      const session = await given.session({ writer: { writerId: 'ann' } })
      const beforeS = Math.floor(Date.now() / 1000)
      const result = await session.writeHandoff({ note: 'over to you', list: [1, { a: null }] })
      expect(result).toMatchObject({ key: '__handoff.json', conflict: null })
      const handoff = (await session.readHandoff())!
      expect(handoff).toMatchObject({
        session_id: session.namespace,
        version: 1,
        summary: { note: 'over to you', list: [1, { a: null }] },
        handoff: null,
      })
      expect(handoff.written_at).toBeGreaterThanOrEqual(beforeS)
      expect(handoff.written_at).toBeLessThanOrEqual(Math.ceil(Date.now() / 1000))
      const document = (await session.readJson('__handoff.json')) as Record<string, unknown>
      expect(document).toMatchObject({ _type: 'agent_state_handoff', version: 1, key: '__handoff.json' })
      expect(await session.list()).toEqual(['__handoff.json'])
    },
  )
  given.test('a summary of the typed shape is also given as the typed part', async () => {
    const session = await given.session()
    await session.writeHandoff(TYPED)
    expect((await session.readHandoff())?.handoff).toMatchObject({
      task: 'Review the plan',
      source_persona: 'planner',
    })
    await session.writeHandoff({ ...TYPED, task: 7 })
    expect((await session.readHandoff())?.handoff).toBeNull()
  })
  given.test('it is written under the same rules as every key', async () => {
    const [ann, ben] = await given.writers('ann', 'ben')
    await ann.writeHandoff({ from: 'ann' })
    const error = await refusal('CONFLICT', () =>
      ben.writeHandoff({ from: 'ben' }, { conflictPolicy: 'error' }),
    )
    expect(error).toMatchObject({ key: '__handoff.json', outcome: 'unchanged' })
    expect((await ben.readHandoff())?.summary).toEqual({ from: 'ann' })
    expect((await ben.writeHandoff({ from: 'ben' }, { conflictPolicy: 'error' })).conflict).toBeNull()
  })
  given.test('a summary that is no object is a TypeError', async () => {
    const session = await given.session()
    for (const wrong of [null, undefined, 'text', 1, [1]]) {
      const summary = wrong as unknown as Record<string, unknown>
      expect(await misuse(() => session.writeHandoff(summary))).toBeInstanceOf(TypeError)
    }
    expect(await session.list()).toEqual([])
  })
}

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AgentStateError } from '../src/errors.js'
import { buildHandoff, HANDOFF_KEY, parseHandoff } from '../src/handoff.js'

const TYPED = {
  source_persona: 'planner',
  target_persona_or_human: { kind: 'persona', label: 'reviewer' },
  task: 'review the plan',
  reason: 'needs a second pair of eyes',
  evidence_refs: [{ label: 'ledger', path: 'evidence/a.json' }],
  files_or_entities_touched: ['src/a.ts'],
  open_questions: ['why?'],
  blocked_on: [],
  requested_capabilities: ['write'],
  allowed_side_effects: ['none'],
  budget_remaining: { tokens: 1000 },
  deadline_checkback: '2026-01-01',
  confidence: 0.5,
}

function build(summary: unknown): string {
  return buildHandoff({
    sessionId: 'session-1',
    root: '/state',
    key: HANDOFF_KEY,
    summary: summary as Record<string, unknown>,
    writer: { writerId: 'w', workerId: 'k' },
    writtenAtS: 1_795_369_429,
  })
}

const typedPart = (summary: unknown): unknown => parseHandoff(build(summary)).handoff

function issuesOf(text: string): readonly unknown[] {
  try {
    parseHandoff(text, 'session-1')
  } catch (error) {
    if (!AgentStateError.is(error, 'SCHEMA_MISMATCH')) throw error
    expect(error).toMatchObject({ key: HANDOFF_KEY, namespace: 'session-1', outcome: 'unchanged' })
    for (const issue of error.issues) expect(error.message).toContain(issue.message)
    return error.issues.map((issue) => issue.path?.[0] ?? '')
  }
  throw new Error('expected it to throw')
}

describe('buildHandoff', () => {
  test('writes the document of the origin, byte for byte', () => {
    expect(build({ note: 'x' })).toBe(`{
  "_type": "agent_state_handoff",
  "version": 1,
  "session_id": "session-1",
  "root": "/state",
  "key": "__handoff.json",
  "summary": {
    "note": "x"
  },
  "handoff": null,
  "writer": {
    "writer_id": "w",
    "worker_id": "k"
  },
  "written_at": 1795369429
}`)
  })
  test('writes an anonymous writer as an empty object', () => {
    const source = { sessionId: 's', root: '/', key: HANDOFF_KEY, summary: {}, writtenAtS: 1 }
    expect(JSON.parse(buildHandoff({ ...source, writer: null }))).toMatchObject({ writer: {} })
  })
  test('keeps the summary as JSON keeps it', () => {
    const summary = {
      list: [1, undefined],
      none: undefined,
      at: new Date(0),
      nested: { toJSON: () => 'text' },
    }
    expect(parseHandoff(build(summary)).summary).toEqual({
      list: [1, null],
      at: '1970-01-01T00:00:00.000Z',
      nested: 'text',
    })
    const odd = JSON.parse('{"__proto__": {"a": 1}, "constructor": 2}') as unknown
    expect(JSON.stringify(parseHandoff(build(odd)).summary)).toBe('{"__proto__":{"a":1},"constructor":2}')
  })
  test('takes a summary that is no JSON object for misuse', () => {
    const cyclic: Record<string, unknown> = {}
    cyclic['self'] = cyclic
    const wrong: readonly unknown[] = [
      undefined,
      null,
      1,
      'text',
      [],
      () => ({}),
      { toJSON: () => 'text' },
      { n: 1n },
    ]
    for (const summary of [...wrong, cyclic]) expect(() => build(summary)).toThrow(TypeError)
  })
})

describe('the typed part', () => {
  test('has the fields of a summary of its shape, in its order', () => {
    const shuffled = Object.fromEntries(Object.entries(TYPED).toReversed())
    expect(JSON.stringify(typedPart(shuffled))).toBe(JSON.stringify(TYPED))
  })
  test('leaves further fields to the summary', () => {
    const summary = {
      ...TYPED,
      more: 1,
      target_persona_or_human: { ...TYPED.target_persona_or_human, more: 1 },
      evidence_refs: [{ label: 'ledger', path: 'evidence/a.json', more: 1 }],
    }
    expect(typedPart(summary)).toEqual(TYPED)
    expect(parseHandoff(build(summary)).summary).toEqual(summary)
  })
  test('has empty lists and nulls where a summary leaves them out or null', () => {
    const { source_persona, target_persona_or_human, task, reason } = TYPED
    const least = { source_persona, target_persona_or_human, task, reason }
    const filled = {
      ...least,
      evidence_refs: [],
      files_or_entities_touched: [],
      open_questions: [],
      blocked_on: [],
      requested_capabilities: [],
      allowed_side_effects: [],
      budget_remaining: null,
      deadline_checkback: null,
      confidence: null,
    }
    expect(typedPart(least)).toEqual(filled)
    expect(typedPart({ ...least, evidence_refs: null, blocked_on: null, confidence: null })).toEqual(filled)
  })
  test('is null without source, target, task or reason', () => {
    for (const name of ['source_persona', 'target_persona_or_human', 'task', 'reason']) {
      expect(typedPart({ ...TYPED, [name]: undefined }), name).toBeNull()
      expect(typedPart({ ...TYPED, [name]: null }), name).toBeNull()
    }
    expect(typedPart({})).toBeNull()
  })
  test('is null where a field has another type', () => {
    const wrong: Readonly<Record<string, readonly unknown[]>> = {
      source_persona: [1, {}, ['a']],
      target_persona_or_human: ['human', {}, { kind: 'human' }, { label: 'a' }, { kind: 1, label: 'a' }, []],
      task: [1],
      reason: [true],
      evidence_refs: [
        'a',
        {},
        ['a'],
        [{ label: 'a' }],
        [{ label: 'a', path: 1 }],
        [TYPED.evidence_refs[0], null],
      ],
      files_or_entities_touched: ['a', [1], [null], {}],
      open_questions: ['a', [1]],
      blocked_on: [{}],
      requested_capabilities: [[[]]],
      allowed_side_effects: [0],
      confidence: ['0.5', {}, []],
    }
    for (const [name, values] of Object.entries(wrong)) {
      for (const value of values) expect(typedPart({ ...TYPED, [name]: value }), name).toBeNull()
    }
  })
})

describe('parseHandoff', () => {
  test('gives back what was built', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.nat(), (summary, writtenAtS) => {
        const plain = JSON.parse(JSON.stringify(summary)) as unknown
        const text = buildHandoff({
          sessionId: 's',
          root: '/r',
          key: HANDOFF_KEY,
          summary,
          writer: null,
          writtenAtS,
        })
        expect(parseHandoff(text)).toEqual({
          session_id: 's',
          version: 1,
          summary: plain,
          handoff: null,
          writer: {},
          written_at: writtenAtS,
        })
      }),
    )
  })
  test('passes unknown fields over and takes a missing typed part or writer for null', () => {
    const text =
      '{"_type":"agent_state_handoff","version":1,"session_id":"s","summary":{},"written_at":1,"more":2}'
    expect(parseHandoff(text)).toEqual({
      session_id: 's',
      version: 1,
      summary: {},
      handoff: null,
      writer: null,
      written_at: 1,
    })
  })
  test('says of a text that is no such document what is wrong with it', () => {
    for (const text of ['', '{', 'null', '[]', '1', '"text"', `\ufeff${build({})}`])
      expect(issuesOf(text)).toEqual([''])
    expect(issuesOf('{}')).toEqual(['_type', 'version', 'session_id', 'summary', 'written_at'])
    const document = JSON.parse(build({})) as Record<string, unknown>
    const wrong: Readonly<Record<string, readonly unknown[]>> = {
      _type: ['handoff', null],
      version: [2, '1', null],
      session_id: [1, null],
      summary: [null, [], 'text'],
      handoff: [[], 'text', 1],
      written_at: [null, '1'],
    }
    for (const [name, values] of Object.entries(wrong)) {
      for (const value of values)
        expect(issuesOf(JSON.stringify({ ...document, [name]: value }))).toEqual([name])
    }
  })
})

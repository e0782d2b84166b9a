/**
 * Places of a root that the process may not read or not write, between two openings or while it is open: never a value for
 * one that could not be looked at, never "not there" for "not allowed", no other key affected, and all is there when the
 * permissions are back (I1, I7, I8). Whoever is root may everything, so then the store's process runs as somebody else.
 *
 * Not covered: file systems with other rules (ACLs, read-only mounts; `EROFS` is simulated in `faults.test.ts`).
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { temporaryDirectory } from '../damage/support/temporary-directory.js'
import { tortureSettings } from '../durability/support/settings.js'

const PROGRAM = fileURLToPath(new URL('support/permissions.mjs', import.meta.url))
const NOBODY = 65_534

type Answers = Readonly<Record<string, string | null>>

type Moment = 'open' | 'closed'

/** Both in a long run; otherwise one, in turn. */
function momentsFor(place: string, mode: string): readonly Moment[] {
  if (tortureSettings().isLong) return ['closed', 'open']
  return [(place.length + Number(mode)) % 2 === 0 ? 'closed' : 'open']
}

async function run(place: string, mode: string, moment: Moment): Promise<Answers> {
  const directory = temporaryDirectory()
  chmodSync(directory, 0o777)
  const child = spawn(process.execPath, [PROGRAM, `${directory}/root`, place, mode, moment], {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {}),
  })
  let said = ''
  let complaint = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text))
  const [code] = (await once(child, 'close')) as [number | null]
  expect({ code, complaint }).toEqual({ code: 0, complaint: '' })
  return JSON.parse(said) as Answers
}

/** What was acknowledged last is there in the end. */
function expectNothingLost(answers: Answers): void {
  for (const namespace of ['agent', 'other']) {
    for (const key of ['a', 'd/x', 'bystander']) {
      const wasDeleted = key === 'd/x' && answers[`${namespace} delete`] === 'done'
      const wasWritten = answers[`${namespace} write ${key}`] === 'done'
      const expected = wasDeleted ? null : wasWritten ? `new ${key}` : `old ${key}`
      expect(answers[`${namespace} at last ${key}`], `${namespace}/${key}`).toBe(expected)
    }
  }
  expect(answers['last close']).toBe('done')
}

function expectAllDone(answers: Answers, prefix: string): void {
  for (const [name, answer] of Object.entries(answers)) {
    if (name.startsWith(prefix))
      expect({ [name]: answer }).toEqual({ [name]: expect.not.stringContaining('/un') })
  }
}

const MAY_FAIL = /^(READ_FAILED|TREE_STUCK|TREE_PENDING|NO_SPACE)\/(unchanged|committed)$/

describe('no permission', () => {
  test.each([
    // Content and metadata: those who write replace the file, so they need no permission for it.
    ['agent/a', '000', ['agent read a', 'agent write a', 'agent read back a']],
    ['agent/.agent_state_meta/a.json', '000', ['agent read a', 'agent write a', 'agent read back a']],
    // Directories: to look into them, and to put something there.
    ['agent/d', '000', ['agent']],
    ['agent/d', '500', []],
    ['agent', '000', ['agent']],
    ['agent', '500', []],
    ['agent/.agent_state_meta', '000', ['agent']],
    ['agent/.agent_state_meta', '500', []],
  ] as const)('for %s (mode %s)', async (place, mode, affected) => {
    for (const moment of momentsFor(place, mode)) {
      const answers = await run(place, mode, moment)
      for (const [name, answer] of Object.entries(answers)) {
        const isAffected = affected.some((prefix) => name.startsWith(prefix))
        const isOfTree = name === 'flush' || name === 'close'
        const isWrong = typeof answer === 'string' && /\/(un|com)/.test(answer)
        if (isWrong && isAffected && !name.includes('at last'))
          expect(answer, `${moment}: ${name}`).toMatch(MAY_FAIL)
        else if (isWrong && isOfTree)
          expect(answer).toMatch(/^(TREE_STUCK\/unchanged|CLOSE_INCOMPLETE\/committed)$/)
        else expect(isWrong, `${moment}: ${name}: ${answer}`).toBe(false)
        // A value that can't be read is not one that is missing.
        const isRead = / read /.test(name) && !name.includes('d/x')
        if (isRead) expect(answer, `${moment}: ${name}`).not.toBeNull()
      }
      expectAllDone(answers, 'other')
      expectNothingLost(answers)
    }
  })

  test.each([
    ['.agent_state', '000'],
    ['.agent_state', '500'],
    ['.agent_state/lock', '000'],
    ['.agent_state/format', '000'],
    ['.agent_state/checkpoint', '000'],
    ['.agent_state/checkpoint', '400'],
    ['.agent_state/journal', '000'],
    ['.agent_state/journal', '500'],
    ['.agent_state/journal/0000000000000001', '000'],
    ['.agent_state/tmp', '000'],
    ['.agent_state/tmp', '500'],
    ['.agent_state/preserved', '000'],
    ['.', '000'],
    ['.', '500'],
  ] as const)('for %s (mode %s): it opens or says why not, and nothing is lost', async (place, mode) => {
    for (const moment of momentsFor(place, mode)) {
      const answers = await run(place, mode, moment)
      if (typeof answers['open'] === 'string' && answers['open'] !== 'done') {
        expect(answers['open']).toMatch(/^(ROOT_UNUSABLE|READ_FAILED|NO_SPACE)\/unchanged$/)
      }
      for (const [name, answer] of Object.entries(answers)) {
        if (name === 'open' || typeof answer !== 'string' || !/\/(un|com)/.test(answer)) continue
        expect(answer, `${moment}: ${name}`).toMatch(
          /^(READ_FAILED|TREE_STUCK|TREE_PENDING|NO_SPACE|CLOSE_INCOMPLETE)\/(unchanged|committed)$/,
        )
      }
      expectNothingLost(answers)
    }
  })
})

/**
 * I10: a root has one owner. Processes open it in a loop against each other and are killed with SIGKILL at any moment; each
 * notes in a shared log when it owns the root, what it found there, and what was acknowledged. Proven: no two at the same
 * time, the next one gets it at once after a kill, and it finds everything that was acknowledged. Also proven: neither a
 * lock file that was deleted or replaced nor one that was moved away lets a second store in.
 *
 * Not covered: machines that share a file system, and mechanisms of other systems than this one.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { onTestFinished, describe, expect, test } from 'vitest'
import { refusal } from '../../src/contract/observe.js'
import { openStore } from '../../src/store.js'
import { temporaryDirectory } from '../damage/support/temporary-directory.js'
import { backendOn } from '../durability/support/in-thread.js'
import { Random } from '../durability/support/random.js'
import { countOf } from '../helpers/tally.js'
import { forSeeds, tortureSettings } from '../durability/support/settings.js'
import { startChild } from './support/child.js'

const isLong = tortureSettings().isLong
const PROCESSES = isLong ? 4 : 2
const OWNERSHIPS = isLong ? 200 : 16

/** Lets processes fight for the root until it was owned often enough. Returns those that were killed. */
async function fight(root: string, log: string, random: Random): Promise<Set<number>> {
  const killed = new Set<number>()
  let ownerships = 0
  const live = async (): Promise<void> => {
    while (ownerships < OWNERSHIPS) {
      const child = startChild('owner-loop.mjs', [root, log, String(random.below(2 ** 31))])
      for await (const line of child.lines) {
        if (line === 'begin') ownerships++
        // Said when it has just got the root, in the middle of its work, and while it closes or waits.
        if (random.chance(line === 'refused' ? 0.02 : 0.1) || ownerships >= OWNERSHIPS) {
          killed.add(child.pid)
          child.kill('SIGKILL')
        }
      }
      const { code, signal } = await child.ended
      expect({ code, signal }).toEqual({ code: null, signal: 'SIGKILL' })
      countOf('processes killed', 1)
    }
  }
  await Promise.all(Array.from({ length: PROCESSES }, live))
  return killed
}

/** Returns the last value that was acknowledged. */
function checkLog(lines: readonly string[], killed: ReadonlySet<number>): number {
  let owner: number | null = null
  let acknowledged = 0
  let handovers = 0
  const gone = new Set<number>()
  for (const line of lines) {
    const [what = '', pidText, valueText] = line.split(' ')
    const [pid, value] = [Number(pidText), Number(valueText)]
    expect(gone.has(pid), `${line}: it was killed before`).toBe(false)
    if (what === 'begin') {
      if (owner !== null) {
        expect(killed.has(owner), `${line}, while ${owner} owned the root`).toBe(true)
        gone.add(owner)
        handovers++
      }
      // One more may have become durable without anybody knowing.
      expect([acknowledged, acknowledged + 1], line).toContain(value)
      acknowledged = value
      owner = pid
    } else {
      expect(owner, `${line}: somebody else owns the root`).toBe(pid)
      acknowledged = value
      if (what === 'end') owner = null
    }
  }
  expect(handovers, 'owners were killed').toBeGreaterThan(1)
  return acknowledged
}

test('I10: of processes that open a root in a loop and are killed in between exactly one owns it at any time', () =>
  forSeeds('owners', async (seed) => {
    const directory = temporaryDirectory()
    const [root, log] = [`${directory}/root`, `${directory}/log`]
    writeFileSync(log, '')
    const killed = await fight(root, log, new Random(seed))
    const lines = readFileSync(log, 'utf8').split('\n').slice(0, -1)
    expect(lines.filter((line) => line.startsWith('begin')).length).toBeGreaterThanOrEqual(OWNERSHIPS)
    const acknowledged = checkLog(lines, killed)
    const store = await openStore({ backend: backendOn(root) })
    onTestFinished(() => store.close())
    const found = Number(await (await store.resume('n')).read('counter'))
    expect([acknowledged, acknowledged + 1]).toContain(found)
  }))

/** What people do to get rid of a store that is "locked". */
const REMOVALS: readonly (readonly [string, (own: string) => void])[] = [
  ['was deleted', (own) => rmSync(`${own}/lock`)],
  [
    'was replaced',
    (own) => {
      writeFileSync(`${own}/new`, '')
      renameSync(`${own}/new`, `${own}/lock`)
    },
  ],
  ['was moved away', (own) => renameSync(`${own}/lock`, `${own}/old-lock`)],
  [
    'was moved away with the whole directory of the store',
    (own) => {
      renameSync(own, `${own}-old`)
      mkdirSync(own)
    },
  ],
]

describe.each(REMOVALS)('I10: a lock file that %s while a store is open', (_, remove) => {
  test('lets nobody else in until that store is closed', async () => {
    const root = temporaryDirectory()
    const store = await openStore({ backend: backendOn(root) })
    onTestFinished(() => store.close({ flush: false }))
    store.events.on('warning', () => {})
    remove(`${root}/.agent_state`)
    for (let attempt = 0; attempt < 2; attempt++) {
      await refusal('STORE_OWNED', () => openStore({ backend: backendOn(root) }))
    }
    await store.close({ flush: false })
    rmSync(`${root}/.agent_state`, { recursive: true })
    await (await openStore({ backend: backendOn(root) })).close()
  })
})

/**
 * Agents in the main thread and in worker threads work on one store at once, threads are ended and the process is killed
 * in the middle, the next process goes on: and still there is one order of all calls that explains every answer.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { makeRoot } from '../helpers/file-stores.js'
import { countOf } from '../helpers/tally.js'
import { forSeeds, tortureSettings } from '../durability/support/settings.js'
import { Random } from '../durability/support/random.js'
import { checkHistory, type Explained } from './support/check-history.js'
import { readNotes } from './support/history.js'
import { notesIn, runSwarm } from './support/run-swarm.js'

vi.setConfig({ testTimeout: tortureSettings().testTimeoutMs })

/** Openings of one root; the last but one comes to its end, the last one only looks. */
const KILLS = 2

async function swarmWithKills(seed: number, ownThread: boolean): Promise<Explained[]> {
  const random = new Random(seed)
  const directory = await makeRoot()
  const notes = join(directory, 'notes')
  const job = { root: join(directory, 'root'), notes, seed, ownThread, threads: 3 }
  try {
    for (let era = 0; era < KILLS; era++) {
      const dots = random.between(1, 60)
      expect(await runSwarm({ ...job, era, rounds: 1e9 }, dots)).toBe(true)
      countOf('processes killed', 1)
    }
    await runSwarm({ ...job, era: KILLS, rounds: 25 }, null)
    await runSwarm({ ...job, era: KILLS + 1, rounds: 0, threads: 0 }, null)
    const explained = [...readNotes(notesIn(notes)).values()].map(checkHistory)
    rmSync(directory, { recursive: true, force: true })
    return explained
  } catch (error) {
    // Threads run as they like, so a seed alone may not bring the same again: what they noted is kept.
    const message = error instanceof Error ? error.message : String(error)
    throw new Error(`${message}\n(the notes are in ${notes})`, { cause: error })
  }
}

test.each([{ ownThread: false }, { ownThread: true }])(
  'I1, I3, I4: what many threads are told has one order, across ended threads and killed processes ($ownThread)',
  ({ ownThread }) =>
    forSeeds(`swarm, ownThread ${ownThread}`, async (seed) => {
      for (const explained of await swarmWithKills(seed, ownThread)) {
        expect(explained.changes, 'there was something to explain').toBeGreaterThan(50)
        countOf('histories checked for linearizability', 1)
        countOf('calls in these histories', explained.calls)
      }
    }),
)

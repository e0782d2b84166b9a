/**
 * Damage at rest in the journal of a store that ended with a backlog: bits flipped, sectors lost, bytes cut off, cut out or
 * put in, whole segments deleted or replaced. Proven: no damage of one place is silent. Either it touched nothing that is
 * needed, and the store shows exactly what it had shown; or opening fails with `JOURNAL_CORRUPT`, names the place, changes
 * nothing, lets go of the root, and shows everything once the damage is repaired.
 *
 * Not covered, because nothing can tell: damage to the very last frame of a process that was killed within a twentieth of a
 * second after it (one test shows what is lost then: that frame, as a whole), and damage of several places that hides itself.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { Random } from '../durability/support/random.js'
import { forSeeds, tortureSettings } from '../durability/support/settings.js'
import {
  cutOut,
  damageFile,
  flipBit,
  insertAt,
  truncateTo,
  zeros,
  type Damage,
} from './support/damage-bytes.js'
import { findJournal, type FoundFrame, type FoundJournal } from './support/journal-frames.js'
import { leaveRoot, type Ending, type LeftRoot } from './support/left-root.js'
import { expectRefused, expectRepairable, expectUnaffected, openDamaged } from './support/open-damaged.js'
import { writeEarly, writeLate, writeMuch } from './support/workloads.js'

const isLong = tortureSettings().isLong
/** Places of each kind that are tried. */
const SAMPLES = isLong ? 20 : 1

class DamagedJournal {
  readonly left: LeftRoot
  readonly found: FoundJournal
  readonly #random: Random
  #refusals = 0

  constructor(left: LeftRoot, random: Random) {
    this.left = left
    this.#random = random
    const root = left.copy()
    this.found = findJournal(root)
    rmSync(root, { recursive: true })
  }

  get lastFrame(): FoundFrame {
    return this.found.needed.at(-1)!
  }

  get usedSegments(): string[] {
    return [...new Set(this.found.needed.map(({ segment }) => segment))]
  }

  /** Numbers from `first` up to before `end`. */
  places(first: number, end: number, count = SAMPLES): number[] {
    return Array.from({ length: count }, () => this.#random.between(first, end - 1))
  }

  /** `offset`: where the damage has to be found. */
  async refusedFor(segment: string, damage: Damage, offset?: number): Promise<void> {
    const change = (directory: string): void => damageFile(`${directory}/${segment}`, damage)
    const { path, offset: found } = await this.refusedAfter(change)
    expect(path).toMatch(new RegExp(`/journal/${segment}$`))
    if (offset !== undefined) expect(found).toBe(offset)
  }

  /** `change` is done to the directory of the journal. Returns what the error names. */
  refusedAfter(change: (directory: string) => void): Promise<{ path: string; offset: number }> {
    return this.#changed(change, async (root) => {
      const outcome = await openDamaged(root)
      const { error } = outcome as { error?: { path: string; offset: number } }
      const path = error?.path ?? ''
      expectRefused(outcome, { code: 'JOURNAL_CORRUPT', path })
      expect(path).toContain(`${root}/.agent_state/journal/`)
      // Repairing takes long, and is the same every time.
      if (this.#refusals++ % 10 === 0) await expectRepairable(root, this.left)
      return { path, offset: error!.offset }
    })
  }

  unaffectedAfter(change: (directory: string) => void): Promise<void> {
    return this.#changed(change, async (root) => expectUnaffected(await openDamaged(root), this.left))
  }

  async #changed<T>(change: (directory: string) => void, check: (root: string) => Promise<T>): Promise<T> {
    const root = this.left.copy()
    try {
      change(`${root}/.agent_state/journal`)
      return await check(root)
    } finally {
      rmSync(root, { recursive: true })
    }
  }
}

function forDamagedJournals(
  what: string,
  ending: Ending,
  late: typeof writeLate,
  check: (journal: DamagedJournal) => Promise<void>,
): Promise<void> {
  return forSeeds(what, async (seed) => {
    const left = await leaveRoot(ending, writeEarly, late)
    await check(new DamagedJournal(left, new Random(seed)))
  })
}

describe.each(['killed', 'closed with a backlog'] as const)(
  'the journal of a store that was %s',
  (ending) => {
    test('tells a flipped bit in any frame, the last one included, and where it is', () =>
      forDamagedJournals('flipped bits', ending, writeLate, async (journal) => {
        expect(journal.found.needed.length).toBeGreaterThan(10)
        for (const { segment, offset, usedEnd } of journal.found.needed) {
          const header = journal.places(offset * 8, (offset + 64) * 8)
          const body = journal.places((offset + 64) * 8, usedEnd * 8)
          for (const bit of [...header, ...body]) await journal.refusedFor(segment, flipBit(bit), offset)
        }
      }))

    test('tells lost sectors and lost frames', () =>
      forDamagedJournals('lost sectors', ending, writeLate, async (journal) => {
        for (const { segment, offset, usedEnd, end } of journal.found.needed.slice(isLong ? 0 : -8)) {
          await journal.refusedFor(segment, zeros(offset, end), offset)
          for (const place of journal.places(offset, usedEnd)) {
            const sector = place - (place % 512)
            await journal.refusedFor(segment, zeros(sector, sector + 512), offset)
          }
        }
      }))

    test('tells where bytes were cut off, cut out or put in', () =>
      forDamagedJournals('other sizes', ending, writeLate, async (journal) => {
        const { found, lastFrame } = journal
        const { segment, end } = lastFrame
        const boundaries = found.needed.flatMap(({ offset, usedEnd }) => [offset, offset + 64, usedEnd])
        const cuts = isLong ? boundaries : boundaries.slice(-4)
        const unused = journal.places(end, found.segments.get(segment)!)
        for (const place of [0, ...cuts, end, ...unused]) await journal.refusedFor(segment, truncateTo(place))
        for (const bytes of [1, 512, 4096]) {
          for (const place of journal.places(0, end, 2 * SAMPLES)) {
            await journal.refusedFor(segment, cutOut(place, place + bytes))
            await journal.refusedFor(segment, insertAt(place, Buffer.alloc(bytes)))
          }
        }
      }))

    test('is not affected by damage to what is not needed', () =>
      forDamagedJournals('unneeded bytes', ending, writeLate, async (journal) => {
        const { found, lastFrame } = journal
        const { segment, end } = lastFrame
        const padded = found.needed.filter((frame) => frame.usedEnd < frame.end)
        const paddings = padded.flatMap((frame) => journal.places(frame.usedEnd, frame.end))
        const unused = journal.places(end, found.segments.get(segment)!, 4)
        for (const place of [...paddings.slice(isLong ? 0 : -3), ...unused]) {
          await journal.unaffectedAfter((directory) =>
            damageFile(`${directory}/${segment}`, flipBit(place * 8)),
          )
        }
        // What a crash leaves of a segment that was being prepared, and what is no segment.
        await journal.unaffectedAfter((directory) => {
          writeFileSync(`${directory}/00000000000000ff`, Buffer.alloc(5000))
          writeFileSync(`${directory}/notes`, 'of somebody')
        })
      }))
  },
)

describe('the segments of a journal that goes through two of them', () => {
  test('are missed, each of them and all, whatever is in their place', () =>
    forDamagedJournals('missing segments', 'killed', writeMuch, async (journal) => {
      expect(journal.usedSegments.length).toBe(2)
      const replacements: ((path: string) => void)[] = [
        () => {},
        (path) => mkdirSync(path),
        (path) => symlinkSync('/etc/passwd', path),
        (path) => symlinkSync(path, path),
        (path) => execFileSync('mkfifo', [path]),
      ]
      for (const segment of journal.usedSegments) {
        for (const replace of replacements) {
          await journal.refusedAfter((directory) => {
            rmSync(`${directory}/${segment}`)
            replace(`${directory}/${segment}`)
          })
        }
      }
      await journal.refusedAfter((directory) => {
        for (const name of readdirSync(directory)) rmSync(`${directory}/${name}`)
      })
    }))

  test('are told when they changed places', () =>
    forDamagedJournals('renamed segments', 'closed with a backlog', writeMuch, async (journal) => {
      const [one = '', two = ''] = journal.usedSegments
      await journal.refusedAfter((directory) => {
        renameSync(`${directory}/${one}`, `${directory}/third`)
        renameSync(`${directory}/${two}`, `${directory}/${one}`)
        renameSync(`${directory}/third`, `${directory}/${two}`)
      })
    }))
})

test('the journal directory is missed as a whole', () =>
  forDamagedJournals('missing directory', 'killed', writeLate, async (journal) => {
    await journal.refusedAfter((directory) => rmSync(directory, { recursive: true }))
  }))

test('damage to the last frame before a kill costs that frame at most, as a whole', () =>
  forDamagedJournals('last frame', 'killed at once', writeLate, async (journal) => {
    const { segment, offset, usedEnd } = journal.lastFrame
    const expected = structuredClone(journal.left.shown) as Record<string, Record<string, unknown>>
    delete expected['agent']!['last']
    for (const bit of journal.places(offset * 8, usedEnd * 8, 4 * SAMPLES)) {
      const root = journal.left.copy()
      damageFile(`${root}/.agent_state/journal/${segment}`, flipBit(bit))
      expect(await openDamaged(root)).toMatchObject({ kind: 'opened', shown: expected, external: [] })
    }
  }))

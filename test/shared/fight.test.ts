/** Processes that share a root and are killed again and again: always one owner, every call answered, nothing lost. */
import { shareStore } from 'agent-state'
import { expect, onTestFinished, test } from 'vitest'
import { Random } from '../durability/support/random.js'
import { temporaryDirectory } from '../damage/support/temporary-directory.js'
import { startChild, type Child } from '../hostile/support/child.js'

const PROCESSES = 3
const KILLS = 3
const SEED = 20261123

interface Sharer {
  readonly child: Child
  readonly lines: string[]
  /** Resolves when it has said so many more lines that begin like this. */
  saysMore(beginning: string, count: number): Promise<void>
}

function start(root: string, name: string): Sharer {
  const child = startChild(new URL('support/sharer.mjs', import.meta.url), [root, name])
  const lines: string[] = []
  let look = (): void => {}
  void (async () => {
    for await (const line of child.lines) {
      lines.push(line)
      look()
    }
  })()
  const counted = (beginning: string): number => lines.filter((line) => line.startsWith(beginning)).length
  const saysMore = (beginning: string, count: number): Promise<void> => {
    const wanted = counted(beginning) + count
    const ended = child.ended.then(() => {
      throw new Error(`it ended: ${lines.slice(-5).join(', ')}`)
    })
    return Promise.race([
      new Promise<void>((resolve) => {
        look = () => {
          if (counted(beginning) >= wanted) resolve()
        }
      }),
      ended,
    ])
  }
  return { child, lines, saysMore }
}

test(`I10, I11: ${PROCESSES} processes that share a root, ${KILLS} kills, seed ${SEED}`, async () => {
  const random = new Random(SEED)
  const root = temporaryDirectory()
  const all: Sharer[] = []
  const sharers = Array.from({ length: PROCESSES }, (_, index) => start(root, `p${index}`))
  all.push(...sharers)
  for (let kill = 0; kill < KILLS; kill++) {
    // Whoever is the owner, all of them go on.
    await Promise.all(sharers.map(({ saysMore }) => saysMore('acknowledged', 30)))
    const index = random.below(PROCESSES)
    sharers[index]!.child.kill('SIGKILL')
    await sharers[index]!.child.ended
    sharers[index] = start(root, `p${index}`)
    all.push(sharers[index])
  }
  await Promise.all(sharers.map(({ saysMore }) => saysMore('acknowledged', 30)))
  for (const { child } of sharers) child.kill('SIGKILL')
  await Promise.all(all.map(({ child }) => child.ended))

  const store = await shareStore({ root })
  onTestFinished(() => store.close())
  const session = await store.resume('n')
  const last = new Map<string, number>()
  let [counted, maybeCounted] = [0, PROCESSES + KILLS]
  for (const { lines } of all) {
    for (const line of lines) {
      const [what, key = '', value = '', code = ''] = line.split(' ')
      if (what === 'acknowledged') {
        expect(Number(value), key).toBeGreaterThan(last.get(key) ?? 0)
        last.set(key, Number(value))
      } else if (what === 'answered') {
        expect(code, 'what is certain not to have been made is asked of the next owner').toBe(
          'OUTCOME_UNKNOWN',
        )
      } else if (what === 'counted') counted++
      else if (what === 'not-counted') {
        expect(key).toBe('OUTCOME_UNKNOWN')
        maybeCounted++
      }
    }
  }
  expect(last.size).toBe(3 * PROCESSES)
  for (const [key, value] of last) {
    // What was under way at the last kill may have been made.
    expect([value, value + 1], key).toContain(Number(await session.read(key)))
  }
  const counter = Number(await session.read('counter'))
  expect(counter).toBeGreaterThanOrEqual(counted)
  expect(counter).toBeLessThanOrEqual(counted + maybeCounted)
})

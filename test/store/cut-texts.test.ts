/**
 * A text that was cut out of a longer one keeps all of that in memory, in this engine. What a store remembers of texts that
 * it was given must not (I9): agents cut their notes out of long logs.
 */
import { expect, test } from 'vitest'
import { memoryBackend } from '../../src/backend/memory.js'
import { openStore } from '../../src/store.js'
import { collectGarbage } from '../helpers/collect-garbage.js'

const LONG = 1024 * 1024
const COUNT = 100

/** The last characters of a text of a megabyte of its own. */
function cutOut(number: number, length: number): string {
  return `${String(number).padStart(10, 'x')}${'-'.repeat(LONG)}${String(number).padStart(length, 'y')}`.slice(
    -length,
  )
}

async function memoryUsed(): Promise<number> {
  await collectGarbage()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

test.each<[string, (number: number) => readonly [key: string, value: string]]>([
  ['values', (number) => [`k${number}`, cutOut(number, 200)]],
  ['keys', (number) => [cutOut(number, 30), 'v']],
])('of %s nothing more is kept than they are', async (_, entryOf) => {
  const store = await openStore({ backend: memoryBackend() })
  const session = await store.init('n')
  for (let number = 0; number < 5; number++) await session.write(...entryOf(number))
  const before = await memoryUsed()
  for (let number = 5; number < COUNT; number++) await session.write(...entryOf(number))
  for (let number = 5; number < COUNT; number++) await session.read(cutOut(number, 25))
  expect(((await memoryUsed()) - before) / COUNT).toBeLessThan(LONG / 20)
  await store.close()
})

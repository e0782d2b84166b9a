import { onTestFinished, describe, expect, test } from 'vitest'
import { memoryBackend } from '../../src/backend/memory.js'
import { nextTurn, record } from '../../src/contract/observe.js'
import { openStore } from '../../src/store.js'

async function opened() {
  const store = await openStore({ backend: memoryBackend(), conflictPolicy: 'warn', detect: 'writer-change' })
  onTestFinished(() => store.close())
  const { namespace } = await store.init()
  const session = (writerId: string) => store.resume(namespace, { writer: { writerId } })
  return { store, ann: await session('writer-ann'), ben: await session('writer-ben') }
}

/** What reaches the process while `act` runs. */
async function processWarnings(act: () => Promise<void>): Promise<Error[]> {
  const warnings: Error[] = []
  const listener = (warning: Error): void => void warnings.push(warning)
  process.on('warning', listener)
  await act()
  await nextTurn()
  process.off('warning', listener)
  return warnings
}

describe('warnings of conflicts', () => {
  test('with nobody listening the process is warned, once a key and pair of writers, and never of values', async () => {
    const { ann, ben } = await opened()
    const warnings = await processWarnings(async () => {
      for (let round = 0; round < 5; round += 1) {
        await ann.write('the-key', `secret-${round}`)
        await ben.write('the-key', `secret-${round}`)
      }
      await ann.write('other-key', 'secret')
      await ben.write('other-key', 'secret')
    })
    const messages = warnings.map((warning) => warning.message)
    expect(messages.filter((message) => message.includes("'the-key'")).length).toBe(2)
    expect(messages.filter((message) => message.includes("'other-key'")).length).toBe(1)
    for (const message of messages) {
      expect(message).toContain('writer-ann')
      expect(message).toContain('writer-ben')
      expect(message).not.toContain('secret')
    }
  })

  test('with a listener the process hears nothing, and the listener of every conflict', async () => {
    const { store, ann, ben } = await opened()
    const heard = record(store.events, 'warning')
    const warnings = await processWarnings(async () => {
      for (let round = 0; round < 3; round += 1) {
        await ann.write('k', '1')
        await ben.write('k', '2')
      }
    })
    expect(warnings).toEqual([])
    expect(heard.items.length).toBe(5)
    expect(new Set(heard.items.map((warning) => warning.code)).size).toBe(1)
  })

  test('the policies `ignore` and `error` warn nobody', async () => {
    const { ann, ben } = await opened()
    const warnings = await processWarnings(async () => {
      await ann.write('k', '1')
      await ben.write('k', '2', { conflictPolicy: 'ignore' })
      await ann.write('k', '3', { conflictPolicy: 'error' }).catch(() => {})
    })
    expect(warnings).toEqual([])
  })
})

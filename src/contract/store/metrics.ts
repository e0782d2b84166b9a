import { expect } from 'vitest'
import { AgentStateError } from '../../errors.js'
import type { Given } from '../given.js'

export function metrics(given: Given): void {
  given.test(
    'what was done is counted: writes, deletions, refusals, conflicts, groups and reads',
    async () => {
      const store = await given.open()
      const ann = await store.init('n', { writer: { writerId: 'ann' } })
      const ben = await store.init('n', { writer: { writerId: 'ben' }, conflictPolicy: 'error' })
      await ann.write('a', '1')
      await ann.batch([
        { write: 'b', value: '2' },
        { write: 'c', value: '3' },
      ])
      await ann.delete('c')
      await ben.write('a', '4').catch(() => {})
      expect(await ann.read('a')).toBe('1')
      const counted = await store.metrics()
      expect(counted).toMatchObject({ writes: 3, deletes: 1, conflicts: { ignore: 0, warn: 0, error: 1 } })
      expect(counted.refused).toBe(1)
      // The creations of the namespace are operations too; what is refused may share a group, or have one without a commit.
      expect(counted.groupOperations.sum).toBeGreaterThanOrEqual(5)
      expect(counted.commitMs.count).toBe(counted.groupOperations.count)
      expect(counted.queueWaitMs.count).toBeGreaterThanOrEqual(counted.groupOperations.count)
      expect(counted.reads.memory + counted.reads.backend).toBeGreaterThan(0)
      expect(counted.queue).toEqual({ operations: 0, bytes: 0 })
      expect(counted.uptimeMs).toBeGreaterThan(0)
    },
  )

  given.test('a store where nothing is wrong says so', async () => {
    const store = await given.open()
    expect(await store.health()).toEqual({ status: 'ok', problems: [] })
  })

  given.test('a closed store counts nothing any more, and says that it is closed', async () => {
    const store = await given.open()
    await store.close()
    const error = await store.metrics().catch((reason: unknown) => reason)
    expect(AgentStateError.is(error, 'STORE_CLOSED')).toBe(true)
    expect((await store.health()).status).toBe('closed')
  })
}

import { describe, expect, test } from 'vitest'
import { memoryBackend } from '../../src/backend/memory.js'
import { openStore } from '../../src/store.js'

describe('removing a namespace', () => {
  for (const together of [false, true]) {
    test(`does not hide who had deleted a key before${together ? ', also when both are asked for at once' : ''}`, async () => {
      const store = await openStore({ backend: memoryBackend() })
      const ann = await store.init('n', { writer: { writerId: 'ann' } })
      const ben = await store.resume('n', { writer: { writerId: 'ben' } })
      await ann.write('k', '1')
      const { revision } = (await ben.entry('k'))!
      const deleted = ann.delete('k')
      if (!together) await deleted
      await store.remove('n')
      await store.init('n')
      const { conflict } = await ben.write('k', '2')
      expect(conflict).toMatchObject({
        previous: { writerId: 'ann' },
        previousRevision: null,
        seenRevision: revision,
      })
      await store.close()
    })
  }
})

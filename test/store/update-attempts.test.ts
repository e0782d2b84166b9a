import { expect, test } from 'vitest'
import { memoryBackend } from '../../src/backend/memory.js'
import { UPDATE_ATTEMPTS_MAX } from '../../src/update-attempts.js'
import { openStore } from '../../src/store.js'

test('I9: an update whose function writes the key itself is given up after a bounded number of calls', async () => {
  const store = await openStore({ backend: memoryBackend() })
  const session = await store.init('n')
  let calls = 0
  const update = session.update('k', async () => {
    await session.write('k', String(++calls))
    return 'never'
  })
  await expect(update).rejects.toMatchObject({
    code: 'REVISION_MISMATCH',
    outcome: 'unchanged',
    retryable: true,
    message: expect.stringContaining('gave up after 1000 attempts') as string,
  })
  expect(calls).toBe(UPDATE_ATTEMPTS_MAX)
  expect(await session.read('k')).toBe(String(calls))
  await store.close()
})

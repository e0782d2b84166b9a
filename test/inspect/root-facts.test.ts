import { execFileSync } from 'node:child_process'
import { openStore } from 'agent-state'
import { expect, test } from 'vitest'
import { lockQuietly } from '../../src/inspect/quiet-lock.js'
import { rootFacts } from '../../src/inspect/root-facts.js'
import { temporaryDirectory } from '../damage/support/temporary-directory.js'

test('a root that was closed cleanly is looked at without its lock, which somebody may want to have (I10)', async () => {
  const root = temporaryDirectory()
  const store = await openStore({ root, workers: 1 })
  await (await store.init('n')).write('k', 'v')
  expect(await rootFacts(root)).toMatchObject({ owner: { pid: process.pid }, clean: false })
  await store.close()
  const lock = await lockQuietly(root)
  expect(lock.status).toBe('held')
  // Trying the lock would find it taken.
  expect(await rootFacts(root)).toMatchObject({ owner: null, clean: true, backlogKeys: 0, problems: [] })
  if (lock.status === 'held') lock.release()
})

test('a root whose owner was killed has none', async () => {
  const root = temporaryDirectory()
  const source = `
    import { openStore } from 'agent-state'
    const store = await openStore({ root: process.argv[1], workers: 1 })
    await (await store.init('n')).write('k', 'v')
    process.kill(process.pid, 'SIGKILL')`
  const run = (): unknown => execFileSync(process.execPath, ['--input-type=module', '-e', source, root])
  expect(run).toThrow()
  expect(await rootFacts(root)).toMatchObject({ owner: null, clean: false })
})

/** A process whose worker threads run out of memory, in one kind of task after the other. It may have very little. */
import assert from 'node:assert/strict'
import { statSync, writeFileSync } from 'node:fs'
import { openStore } from '../../../../dist/index.js'

const directory = process.argv[2]
const plan = `${directory}/deaths.json`
process.env.AGENT_STATE_TEST_DEATHS = plan
const workerUrl = new URL('dying-worker-entry.cjs', import.meta.url)

function die(kind) {
  const diedFile = `${directory}/${kind}`
  writeFileSync(plan, JSON.stringify({ kind, deaths: 1, call: 3, way: 'memory', diedFile }))
}

const store = await openStore({ root: `${directory}/root`, workerUrl })
const session = await store.init('agent')
die('materialize')
await session.write('a', 'one', { durability: 'tree' })
await store.close()

const again = await openStore({ root: `${directory}/root`, workerUrl })
die('scan-namespace')
const resumed = await again.resume('agent')
die('read')
assert.equal(await resumed.read('a'), 'one')
await again.close()
for (const kind of ['materialize', 'scan-namespace', 'read'])
  assert.equal(statSync(`${directory}/${kind}`).size, 1)
process.stdout.write('all as promised')

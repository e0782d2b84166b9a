/**
 * A process that has no file descriptors left, with an open store. Where a call says in what way it may fail, it may also
 * succeed: what it needs may be open.
 */
import assert from 'node:assert/strict'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { openStore } from '../../../../dist/index.js'

const root = `${process.argv[2]}/root`
const held = []

function takeAll() {
  try {
    for (;;) held.push(openSync('/dev/null', 'r'))
  } catch (error) {
    assert.equal(error.code, 'EMFILE')
  }
}

function giveBack(count = held.length) {
  for (const fd of held.splice(0, count)) closeSync(fd)
}

async function attempt(act, codes) {
  try {
    return await act()
  } catch (error) {
    assert.ok(codes.includes(error.code), `${error.code} ${error.message}`)
    return error
  }
}

const first = await openStore({ root })
const filling = await first.init('agent')
for (let number = 0; number < 3; number++) await filling.write(`key/${number}`, `value ${number}`)
await first.close()

takeAll()
const refused = await attempt(() => openStore({ root }), ['ROOT_UNUSABLE', 'READ_FAILED', 'NO_SPACE'])
assert.ok(refused instanceof Error, 'nothing can be opened without a descriptor')
giveBack()

const store = await openStore({ root, limits: { spaceWaitMs: 1 } })
store.events.on('warning', () => {})
let acknowledged = 'value 0'
for (const few of [0, 1, 2, 3, 5, 8, 13, 21]) {
  takeAll()
  giveBack(few)
  const session = await attempt(() => store.resume('agent'), ['READ_FAILED'])
  if (!(session instanceof Error)) {
    await attempt(() => session.read('key/1'), ['READ_FAILED'])
    const value = `value with ${few}`
    const answer = await attempt(() => session.write('key/0', value), ['READ_FAILED', 'NO_SPACE'])
    if (!(answer instanceof Error)) acknowledged = value
    await attempt(() => session.delete('key/2'), ['READ_FAILED', 'NO_SPACE'])
  }
  await attempt(() => store.flush(), ['TREE_STUCK'])
  giveBack()
  assert.equal(store.state, 'open')
  const again = await store.resume('agent')
  assert.equal(await again.read('key/0'), acknowledged)
  assert.equal(await again.read('key/1'), 'value 1')
}
await store.flush()
await store.close()
assert.equal(readFileSync(`${root}/agent/key/0`, 'utf8'), acknowledged)
process.stdout.write('all as promised')

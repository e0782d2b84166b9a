/**
 * A process that shares a root with others that do the same, and writes to it all the time. It says every value that was
 * acknowledged and every call that was not. Arguments: root, name.
 */
import { shareStore } from 'agent-state'
import { say } from '../../hostile/support/say.mjs'

const [root = '', name = ''] = process.argv.slice(2)
const store = await shareStore({ root, workers: 1, writer: { writerId: name }, ownerWaitMs: 600_000 })
const session = await store.init('n').catch(() => store.init('n'))
say('shares')

/** @param {number} line */
async function writeOn(line) {
  const key = `${name}/${line}`
  let value = Number((await session.read(key)) ?? 0)
  for (;;) {
    value++
    try {
      await session.write(key, `${value}`)
      say(`acknowledged ${key} ${value}`)
    } catch (error) {
      say(`answered ${key} ${value} ${/** @type {{ code?: string }} */ (error).code}`)
    }
  }
}

/** All of them count together, so that an update that was lost or made twice would show. */
async function count() {
  for (;;) {
    try {
      await session.update('counter', (text) => `${Number(text ?? 0) + 1}`)
      say('counted')
    } catch (error) {
      say(`not-counted ${/** @type {{ code?: string }} */ (error).code}`)
    }
  }
}

await Promise.all([writeOn(0), writeOn(1), writeOn(2), count()])

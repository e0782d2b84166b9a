/**
 * A process that opens a root again and again, against others that do the same. While it owns the root it notes in a log
 * that all share what it found there, and every change that was acknowledged.
 * Arguments: root, log, seed.
 */
import { openSync } from 'node:fs'
import { openStore } from 'agent-state'
import { say } from './say.mjs'

const [root = '', logPath = '', seed = '0'] = process.argv.slice(2)
const log = openSync(logPath, 'a')
let state = Number(seed)

/** @param {number} bound */
function below(bound) {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
  return Math.floor((state / 2 ** 32) * bound)
}

async function open() {
  for (;;) {
    try {
      return await openStore({ root, workers: 1, ownerWaitMs: below(2) * 20, ownThread: below(4) === 0 })
    } catch (error) {
      if (/** @type {{ code?: string }} */ (error).code !== 'STORE_OWNED') throw error
      say('refused')
    }
  }
}

for (;;) {
  const store = await open()
  const session = await store.init('n')
  let counter = Number((await session.read('counter')) ?? 0)
  say(`begin ${process.pid} ${counter}`, log)
  say('begin')
  for (let left = below(4); left >= 0; left--) {
    counter++
    await session.write('counter', `${counter}`)
    say(`acknowledged ${process.pid} ${counter}`, log)
    say('acknowledged')
  }
  // It is the last one that can say so: the next owner may begin before `close` returns here.
  say(`end ${process.pid} ${counter}`, log)
  await store.close({ flush: below(2) === 0 })
  say('end')
}

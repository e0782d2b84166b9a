/**
 * A process that writes as fast as it can until a signal ends it. It says every value that was acknowledged, and how each
 * call was refused. Arguments: root, `default` or `close` (what it does on a signal), `own-thread` if the store has one.
 */
import { openStore } from 'agent-state'
import { say } from './say.mjs'

const [root = '', onSignal, thread] = process.argv.slice(2)
const LINES = 16

const store = await openStore({ root, ownThread: thread === 'own-thread' })
const session = await store.init('n')
/** @type {Promise<void>[]} */
const running = []

/** @param {NodeJS.Signals} signal */
async function closeOn(signal) {
  say(`got ${signal}`)
  await store.close()
  await Promise.all(running)
  say('closed')
  // As the shell does it: who waits for this process is told which signal it was.
  process.kill(process.pid, signal)
}

if (onSignal === 'close') {
  for (const signal of /** @type {const} */ (['SIGTERM', 'SIGINT', 'SIGHUP'])) {
    process.once(signal, () => void closeOn(signal))
  }
}

/** @param {number} line */
async function writeOn(line) {
  for (let value = 1; ; value++) {
    try {
      await session.write(`k${line}`, `${value} `.repeat(100))
    } catch (error) {
      say(`refused ${/** @type {{ code?: string }} */ (error).code}`)
      return
    }
    say(`acknowledged ${line} ${value}`)
  }
}
for (let line = 0; line < LINES; line++) running.push(writeOn(line))

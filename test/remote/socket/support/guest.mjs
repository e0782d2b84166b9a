/**
 * A process that connects to the owner of a root and says line by line what it does. Arguments: root, what to do.
 *   write: writes to its own keys, many at a time, until it is ended
 *   idle: has a session, subscriptions and a watch, and nothing to wait for
 *   hold: has its turn of an update until it is told to go on by SIGUSR2
 *   stop: asks for a lot, and stops itself before it could take the answers
 */
import { connectStore } from 'agent-state'
import { say } from '../../../hostile/support/say.mjs'

const [root = '', act, name = 'guest'] = process.argv.slice(2)

const store = await connectStore({ root }, { writer: { writerId: name } }).catch(
  (/** @type {unknown} */ error) => {
    say(`refused ${/** @type {{ code?: string }} */ (error).code}`)
    process.exit(0)
  },
)
const session = await store.init('n')
say('connected')

/** @param {number} line */
async function writeOn(line) {
  for (let value = 1; ; value++) {
    try {
      await session.write(`${name}/k${line}`, `${value}`)
      say(`acknowledged ${name}/k${line} ${value}`)
    } catch (error) {
      say(`answered ${name}/k${line} ${value} ${/** @type {{ code?: string }} */ (error).code}`)
      return
    }
  }
}

if (act === 'write') {
  await Promise.all(Array.from({ length: 16 }, (_, line) => writeOn(line)))
  say(`state ${store.state}`)
} else if (act === 'idle') {
  store.events.on('change', () => {})
  void session.watch()[Symbol.asyncIterator]().next()
  await session.write(`${name}/k0`, '1')
  say('idle')
} else if (act === 'stop') {
  for (let count = 0; count < 500; count++) void session.read('large')
  void session.update('held', () => {
    say('stops')
    process.kill(process.pid, 'SIGSTOP')
    return 'by one who was stopped'
  })
} else if (act === 'hold') {
  const alive = setInterval(() => {}, 1 << 30)
  await session.update('held', async () => {
    say('holds')
    await new Promise((resolve) => process.once('SIGUSR2', resolve))
    return 'the guest'
  })
  clearInterval(alive)
}

/**
 * A process that owns a root, writes to it too, and serves whoever connects. Arguments: root, what to do.
 *   serve: until it is ended
 *   idle: has nothing to do itself
 *   close: closes when it is told to by SIGTERM
 *   update: updates what may be held when it is told to by SIGUSR2, and has nothing else to do then
 */
import { openStore } from 'agent-state'
import { say } from '../../../hostile/support/say.mjs'

const [root = '', act] = process.argv.slice(2)
const store = await openStore({ root, workers: 1 })
await (await store.init('n')).write('own', 'by the owner')
say('open')
if (act === 'serve') setInterval(() => {}, 1 << 30)
if (act === 'close') {
  const alive = setInterval(() => {}, 1 << 30)
  const close = async () => {
    await store.close()
    say('closed')
    clearInterval(alive)
  }
  process.once('SIGTERM', () => void close())
}
if (act === 'update') {
  const alive = setInterval(() => {}, 1 << 30)
  process.once('SIGUSR2', () => {
    clearInterval(alive)
    say('asks')
    const updating = store
      .resume('n')
      .then((session) => session.update('held', (value) => `${value}, then the owner`))
    void updating.then(() => say('updated'))
  })
}

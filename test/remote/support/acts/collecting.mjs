/** Collects garbage all the time, and keeps nothing of what it uses but what it must. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc')

export async function run({ store, say }) {
  let heard = 0
  let watched = 0
  const isLocal = ({ key }) => key.startsWith('local')
  const session = await store.resume('n')
  store.events.on('change', (event) => {
    if (isLocal(event)) heard++
  })
  const watching = (async () => {
    for await (const item of session.watch({ prefix: 'local' })) {
      collectGarbage()
      if (isLocal(item) && ++watched === 20) break
    }
  })()
  await store.flush()
  say('listening')
  for (let index = 0; index < 50; index++) {
    const update = session.update('counter', async (value) => {
      collectGarbage()
      return String(Number(value ?? 0) + 1)
    })
    collectGarbage()
    await update
  }
  await watching
  say('done', { counter: await session.read('counter'), heard, watched })
}

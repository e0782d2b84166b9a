/** Writes what others write too, and keeps a log of every event of the namespace. */
export async function run({ store, name, say, told }) {
  const session = await store.resume('n', { writer: { writerId: name }, detect: 'writer-change' })
  const log = []
  let end = () => {}
  const ended = new Promise((resolve) => (end = resolve))
  store.events.on('change', ({ key, revision, writer }) => {
    log.push(`change ${key} ${revision} ${writer.writerId}`)
    if (key === 'end') end()
  })
  store.events.on('conflict', (event) => {
    const { key, revision, current, previous, previousRevision, outcome } = event
    log.push(
      `conflict ${key} ${revision} ${current.writerId} ${previous.writerId} ${previousRevision} ${outcome}`,
    )
  })
  await store.flush()
  const going = told('go')
  say('ready')
  await going
  let conflicts = 0
  let refused = 0
  const write = async (_, caller) => {
    for (let index = 0; index < 100; index++) {
      const conflictPolicy = caller === 0 ? 'error' : 'ignore'
      try {
        const { conflict } = await session.write(`k${(index + caller) % 5}`, `${index}`, { conflictPolicy })
        if (conflict !== null) conflicts++
      } catch (error) {
        if (error.code !== 'CONFLICT') throw error
        refused++
      }
    }
  }
  await Promise.all(Array.from({ length: 4 }, write))
  say('written', { conflicts, refused })
  await ended
  say('log', { log })
}

import { memoryBackend, openStore } from 'agent-state'
import { expect, onTestFinished, test } from 'vitest'
import { ThreadAgents } from '../../dist/replay/thread-agents.js'
import { failureOf } from '../../src/contract/observe.js'

async function opened(threads: number) {
  const store = await openStore({ backend: memoryBackend() })
  onTestFinished(() => store.close())
  const session = await store.init('n')
  return { session, agents: new ThreadAgents(store, threads) }
}

test('agents in threads write as their authors, each author in the order of the calls', async () => {
  const { session, agents } = await opened(2)
  const calls = ['ann', 'ben', 'cid'].flatMap((author) =>
    Array.from({ length: 20 }, (_, index) =>
      agents.batch(session, author, [{ write: `of/${author}`, value: `${index}` }]),
    ),
  )
  for (const [result] of await Promise.all(calls)) expect(result!.conflict).toBeNull()
  for (const author of ['ann', 'ben', 'cid']) {
    const entry = (await session.entry(`of/${author}`))!
    expect([Buffer.from(entry.value).toString(), entry.writer]).toEqual(['19', { writerId: author }])
  }
  await agents.close()
})

test('what agents can not write is an error with its reason, and they go on', async () => {
  const { session, agents } = await opened(1)
  const error = await failureOf(() => agents.batch(session, 'ann', [{ write: '../up', value: '' }]))
  expect(String(error)).toContain('../up')
  expect((await agents.batch(session, 'ann', [{ write: 'k', value: '' }])).length).toBe(1)
  await agents.close()
})

test('I11: what is asked of a thread that has ended fails, before and after its end', async () => {
  const { session, agents } = await opened(1)
  const under = failureOf(() => agents.batch(session, 'ann', [{ write: 'k', value: '' }]))
  await agents.close()
  expect(await under).toMatchObject({ message: 'a thread of agents has ended' })
  const late = failureOf(() => agents.batch(session, 'ann', [{ write: 'k', value: '' }]))
  expect(await late).toMatchObject({ message: 'a thread of agents has ended' })
})

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describe, expect, onTestFinished, test } from 'vitest'
import { AgentStateError, type Store } from 'agent-state'
import { fileStores } from '../helpers/file-stores.js'

async function opened(): Promise<Store> {
  const state = await fileStores.create()
  const store = await state.open()
  onTestFinished(async () => {
    await store.close()
    await state.dispose()
  })
  return store
}

describe('the metrics of a file store', () => {
  test('count what went into the journal, and what of it the tree has', async () => {
    const store = await opened()
    const session = await store.init('n')
    await Promise.all([session.write('a', 'x'.repeat(1000)), session.write('b', '')])
    await store.flush()
    const { backend, reads, connections } = await store.metrics()
    expect(backend!.journalBytes).toBeGreaterThan(1000)
    expect(backend!.appendMs.count).toBe(backend!.syncMs.count)
    expect(backend!.syncMs.count).toBeGreaterThanOrEqual(2)
    expect(backend).toMatchObject({ backlogKeys: 0, backlogBytes: 0, backlogFill: 0, stuckKeys: 0 })
    expect(backend!.materialized).toBe(2)
    expect({ reads, connections }).toEqual({ reads: { memory: 0, backend: 0 }, connections: 0 })
  })

  test('count reads by who answered them, open connections, and events that were dropped', async () => {
    const state = await fileStores.create()
    onTestFinished(() => state.dispose())
    const first = await state.open()
    await (await first.init('n')).write('a', '1')
    await first.close()
    const store = await state.open({ limits: { eventBufferMax: 2 } })
    onTestFinished(() => store.close())
    const session = await store.resume('n')
    for (let round = 0; round < 3; round++) expect(await session.read('a')).toBe('1')
    const port = store.createPort()
    onTestFinished(() => port.close())
    const events = store.events.iterate('change')[Symbol.asyncIterator]()
    for (let round = 0; round < 5; round++) await session.write('a', String(round))
    const { reads, connections, events: counted } = await store.metrics()
    expect(reads).toEqual({ memory: 2, backend: 1 })
    expect(connections).toBe(1)
    expect(counted).toEqual({ missed: 3, untold: 3, waiting: 2 })
    expect((await store.health()).problems).toEqual([expect.stringContaining('3 events were dropped')])
    // Whoever has taken what waits, and knows what is missing, is not behind any more; the total stays.
    expect((await events.next()).value).toMatchObject({ type: 'change' })
    expect((await events.next()).value).toMatchObject({ type: 'change' })
    expect((await events.next()).value).toEqual({ type: 'lagged', missed: 3 })
    expect((await store.metrics()).events).toEqual({ missed: 3, untold: 0, waiting: 0 })
    expect((await store.health()).problems).not.toContainEqual(expect.stringContaining('events'))
    await events.return?.()
  })
})

describe('tracing channels', () => {
  test('tell of every change with namespace and key, of its end or its error, and of commit groups', async () => {
    const seen: string[] = []
    const follow = (name: string): void => {
      const listener = (message: unknown): void => {
        const { namespace = '', key = '', error } = message as Record<string, unknown>
        const code = AgentStateError.is(error) ? error.code : ''
        seen.push(`${name} ${String(namespace)} ${String(key)} ${code}`.trim())
      }
      subscribe(`tracing:agent-state.${name}`, listener)
      onTestFinished(() => void unsubscribe(`tracing:agent-state.${name}`, listener))
    }
    for (const call of ['write', 'delete', 'batch', 'update'])
      for (const at of ['start', 'error', 'asyncEnd']) follow(`${call}:${at}`)
    follow('commit:asyncEnd')
    const store = await opened()
    const session = await store.init('n')
    seen.length = 0
    await session.write('a', '1')
    await session.delete('a')
    await session.batch([{ write: 'b', value: '2' }])
    await session.update('b', () => undefined)
    await session.write('c', '1', { ifRevision: 7 }).catch(() => {})
    expect(seen).toEqual([
      'write:start n a',
      'commit:asyncEnd',
      'write:asyncEnd n a',
      'delete:start n a',
      'commit:asyncEnd',
      'delete:asyncEnd n a',
      'batch:start n',
      'commit:asyncEnd',
      'batch:asyncEnd n',
      'update:start n b',
      'update:asyncEnd n b',
      'write:start n c',
      'write:error n c REVISION_MISMATCH',
      'write:asyncEnd n c REVISION_MISMATCH',
    ])
  })
})

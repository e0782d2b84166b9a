import { rm } from 'node:fs/promises'
import { openStore } from 'agent-state'
import { describe, expect, onTestFinished, test } from 'vitest'
import { collect, iteratorOf, record, take } from '../../src/contract/observe.js'
import { LocalStore } from '../../dist/store.js'
import { StoreHandle } from '../../dist/store-handle.js'
import { checkOpenOptions } from '../../dist/open-options.js'
import { makeRoot } from '../helpers/file-stores.js'
import { hosted, until } from './hosted.js'
import { COUNTER } from './support/thread-notes.mjs'
import { checkContents } from './thread-contents.js'
import { startThread } from './threads.js'

const NOTHING = { connections: 0, calls: 0, turns: 0, watches: 0 }

/** A store of files in this thread, with a view on its ports. */
async function hostedFiles() {
  const root = await makeRoot()
  const settings = checkOpenOptions({ root })
  const local = new LocalStore(settings)
  await local.open(undefined)
  const store = new StoreHandle(local.parts, settings.defaults)
  onTestFinished(async () => {
    await store.close()
    await rm(root, { recursive: true, force: true })
  })
  return { root, store, ports: local.ports }
}

describe('I11: a thread in the middle of thousands of writes, updates, events and watches', () => {
  const ends = {
    'is terminated': { end: 'terminate', error: undefined },
    throws: { end: 'throw', error: { message: 'the agent crashed' } },
    'calls process.exit': { end: 'exit', error: undefined },
    'closes its port': { end: 'close-port', error: undefined },
  }
  for (const [title, { end, error }] of Object.entries(ends)) {
    test(`that ${title}: what it was told is true, what it had is given back, and everybody else goes on`, async () => {
      const { root, store, ports } = await hostedFiles()
      const session = await store.init('swarm')
      const changes = record(store.events, 'change')
      const watched = iteratorOf(session.watch({ prefix: 'main/' }))
      const victim = startThread('busy', store.createPort(), { name: 'victim', end, endAt: 2000 })
      const other = startThread('busy', store.createPort(), { name: 'other', endAt: 500 })
      await Promise.all([victim.said('holds'), other.said('holds'), other.said('reached')])
      const turn = session.update('held-victim', (value) => `${value} taken over`)
      await victim.said('reached')
      if (end === 'terminate') await victim.worker.terminate()
      if (end === 'close-port') {
        const { failures } = await victim.said('done')
        expect([...(failures as Set<string>)]).toContain('DISCONNECTED')
        expect(['DISCONNECTED', 'OUTCOME_UNKNOWN']).toEqual(
          expect.arrayContaining([...(failures as Set<string>)]),
        )
      } else {
        const ended = await victim.ended
        if (error === undefined) expect(ended).toBeUndefined()
        else expect(ended).toMatchObject(error)
      }
      // Its turn is given on, its connection is gone, and the namespace goes on.
      expect(await turn).toMatchObject({ key: 'held-victim' })
      expect(await session.read('held-victim')).toBe('null taken over')
      await until(() => ports.counts.connections === 1)
      expect(ports.counts).toMatchObject({ watches: 2 })
      for (let index = 0; index < 100; index++) await session.write(`main/${index}`, '')
      expect((await take(watched, 100)).length).toBe(100)
      await changes.until(({ key }) => key === 'main/99')
      const before = other.counters[COUNTER.ACKNOWLEDGED]!
      await until(() => other.counters[COUNTER.ACKNOWLEDGED]! > before)
      other.worker.postMessage('stop')
      expect((await other.said('done')).failures).toEqual(new Set())
      await until(() => ports.counts.connections === 0)
      expect(ports.counts).toEqual(NOTHING)
      expect(other.counters[COUNTER.WATCHED]).toBe(100)
      await checkContents(session, { victim, other })
      await store.close()
      const again = await openStore({ root })
      await checkContents(await again.resume('swarm'), { victim, other })
      expect(await collect(again.namespaces())).toEqual(['swarm'])
      await again.close()
    })
  }

  test('drops what was in no commit group yet, and completes what was', async () => {
    const { store, backend, ports } = await hosted()
    const session = await store.init('n')
    backend.holds = true
    const thread = startThread('flood', store.createPort(), { writes: 5000 })
    await thread.said('asked')
    const commit = await backend.nextCommit()
    const changes = commit.plans.flatMap(({ units }) =>
      units.flatMap((unit) => (unit.kind === 'change' ? unit.changes : [])),
    )
    const group = changes.map(({ key }) => key)
    await until(() => ports.counts.calls === 1024)
    await thread.worker.terminate()
    await until(() => ports.counts.connections === 0)
    const next = session.write('next', '')
    backend.holds = false
    await commit.proceed()
    await next
    expect(new Set(await session.list())).toEqual(new Set([...group, 'next']))
    expect(backend.commits).toBe(3)
  })
})

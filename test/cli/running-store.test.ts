/** `conflicts` and `info`, of a root that somebody has open, and of one that nobody has. */
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Store } from 'agent-state'
import { cli, closedRoot, inProcess, lines, ownedRoot, ownedStore, temporaryRoot } from './support/run-cli.js'

describe('conflicts', () => {
  test('prints those that were, oldest first, refused ones too, with and without an owner', async () => {
    const fill = async (store: Store): Promise<void> => {
      const ada = await store.init('n', { writer: { writerId: 'ada' } })
      const bob = ada.with({ writer: { writerId: 'bob' }, conflictPolicy: 'error' })
      await ada.write('k', '1')
      await ada.with({ writer: { writerId: 'eve' } }).write('k', '2')
      await bob.write('k', '3').catch(() => {})
    }
    for (const root of [await ownedRoot(fill), await closedRoot(fill)]) {
      expect(lines(await inProcess(['conflicts', '--json', '--root', root]))).toMatchObject([
        { key: 'k', outcome: 'written', current: { writerId: 'eve' }, previous: { writerId: 'ada' } },
        { key: 'k', outcome: 'refused', current: { writerId: 'bob' }, previous: { writerId: 'eve' } },
      ])
      const last = await inProcess(['conflicts', 'n', '--last', '1', '--root', root])
      expect(last.output).toMatch(/^\S+  refused  bob after eve \(\d+\)  error  n  k\n$/)
      expect(await inProcess(['conflicts', 'other', '--root', root])).toMatchObject({ status: 0, output: '' })
    }
  })

  test('--last and --follow are not for one another', async () => {
    const root = await closedRoot(async () => {})
    expect(await inProcess(['conflicts', '--last', '1', '--follow', '--root', root])).toMatchObject({
      status: 2,
    })
  })
})

describe('info', () => {
  test('--metrics prints what the owner has counted, as Prometheus reads it, or as JSON', async () => {
    const root = await ownedRoot(async (store) => {
      await (await store.init('n')).write('k', '1')
    })
    const text = await inProcess(['info', '--metrics', '--root', root])
    expect(text.output).toContain('\nagent_state_writes_total 1\n')
    const [metrics] = lines(await inProcess(['info', '--metrics', '--json', '--root', root]))
    expect(metrics).toMatchObject({ writes: 1, backend: { stuckKeys: 0 } })
  })

  test('--metrics of a root that nobody has open says so', async () => {
    const root = await closedRoot(async () => {})
    const { status, errors } = await inProcess(['info', '--metrics', '--root', root])
    expect(status).toBe(3)
    expect(errors).toMatch(/NO_OWNER: .*; metrics are there only while one has\n$/)
  })

  test('says in one word that all is well with the owner', async () => {
    const root = await ownedRoot((store) => store.init('n'))
    expect((await inProcess(['info', '--root', root])).output).toMatch(
      /^owner +process .*(\n.*)*\nhealth +ok\n$/m,
    )
    expect(lines(await inProcess(['info', '--json', '--root', root]))).toMatchObject([{ health: ['ok'] }])
  })

  test('tells what its owner says is wrong', async () => {
    const root = temporaryRoot()
    const store = await ownedStore(root, { limits: { eventBufferMax: 1 } })
    const session = await store.init('n')
    store.events.iterate('change')
    for (let round = 0; round < 4; round++) await session.write('k', String(round))
    expect((await inProcess(['info', '--root', root])).output).toMatch(/3 events were dropped/)
  })

  test('names the key that an update keeps from others, and who does', async () => {
    const root = temporaryRoot()
    const store = await ownedStore(root)
    const session = await store.init('n', { writer: { writerId: 'ann' } })
    let end = (): void => {}
    const begun = new Promise<void>((resolve) => {
      const ending = new Promise<string>((ended) => (end = () => ended('1')))
      void session.update('plan', () => {
        resolve()
        return ending
      })
    })
    await begun
    const waiting = session.update('plan', (value) => `${value}!`)
    const usual = performance.now.bind(performance)
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => usual() + 600_000)
    onTestFinished(() => clock.mockRestore())
    const { output } = await cli(['info', '--root', root])
    expect(output).toMatch(
      /an update by 'ann' holds 'plan' in namespace 'n' for 10 min, since .*: 1 other waits/,
    )
    const text = (await cli(['info', '--metrics', '--root', root])).output
    expect(text).toMatch(/^agent_state_update_held_seconds 6\d\d\./m)
    end()
    await waiting
  })
})

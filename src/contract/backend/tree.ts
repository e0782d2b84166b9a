/** `ready`, `materialized`, `flush` and `close`. */
import { expect } from 'vitest'
import {
  changing,
  commit,
  creating,
  keysOf,
  planOf,
  remove,
  textOf,
  write,
  type GivenBackend,
} from './given-backend.js'

export function tree(given: GivenBackend): void {
  given.test(
    '`materialized` resolves for what was committed, also when it was superseded, deleted or removed since',
    async () => {
      const { backend } = await given.open()
      const first = await commit(backend, creating('n', [write('a', '1'), write('b/c', '1')]))
      await backend.materialized('n', ['a', 'b/c'], first + 1)
      const second = await commit(backend, changing('n', [write('a', '2')]))
      const waiting = backend.materialized('n', ['a'], second)
      const third = await commit(backend, changing('n', [write('a', '3')], [remove('a')]))
      await Promise.all([
        waiting,
        backend.materialized('n', ['a'], third),
        backend.materialized('n', ['a'], third + 1),
      ])
      await backend.materialized('n', ['a'], first + 1)
      const removal = await commit(backend, planOf('n', [{ kind: 'remove' }]))
      await backend.materialized('n', ['b/c'], removal)
      await backend.materialized('n', [], removal)
    },
  )
  given.test(
    '`flush` resolves when everything is in the tree, reporting how far it is, and nothing is lost by it',
    async () => {
      const { backend } = await given.open()
      await backend.flush()
      const keys = Array.from({ length: 40 }, (_, index) => `d${index % 4}/k${index}`)
      await commit(backend, creating('n', ...keys.map((key) => [write(key, key)])))
      const reports: [number, number][] = []
      await backend.flush((done, total) => void reports.push([done, total]))
      for (const [done, total] of reports) expect(done).toBeLessThanOrEqual(total)
      await commit(
        backend,
        changing(
          'n',
          keys.slice(0, 30).map((key) => remove(key)),
        ),
      )
      await Promise.all([backend.flush(), backend.flush()])
      expect(await keysOf(backend, 'n')).toEqual(keys.slice(30).sort())
      for (const key of keys.slice(30)) expect(await textOf(backend, 'n', key)).toBe(key)
    },
  )
  given.test('`ready` is null, or a promise that resolves', async () => {
    const { backend } = await given.open()
    await commit(backend, creating('n'))
    for (let round = 0; round < 20; round += 1) {
      const ready = backend.ready()
      if (ready !== null) await ready
      await commit(backend, changing('n', [write('k', 'x'.repeat(10_000))]))
    }
    expect((await textOf(backend, 'n', 'k'))?.length).toBe(10_000)
  })
  given.test('a healthy backend tells its host of no failure, nothing external and no warning', async () => {
    const { backend, host, answer } = await given.open()
    expect(answer.recovered).toBeNull()
    await commit(backend, creating('n', [write('k', '1')], [remove('k')], [write('k/l', '2')]))
    await backend.flush()
    await backend.read('n', ['k', 'k/l'])
    expect([host.failures, host.warnings, host.externals]).toEqual([[], [], []])
  })
}

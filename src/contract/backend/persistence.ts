/** What is there after opening again. */
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

export function persistence(given: GivenBackend): void {
  for (const flush of [true, false]) {
    const how = flush ? 'flushed' : 'not flushed'
    given.testUnless(
      'reopen',
      `I1: everything committed is there after opening again (${how} at closing)`,
      async () => {
        const opened = await given.open()
        const keys = ['a', 'b/c', 'empty', '__proto__', 'ü']
        await commit(
          opened.backend,
          creating('n', ...keys.map((key) => [write(key, `of ${key}`, { writerId: key })])),
        )
        await commit(opened.backend, changing('n', [write('a', 'again'), remove('b/c'), write('b', 'file')]))
        await commit(opened.backend, creating('without keys'))
        await commit(opened.backend, creating('removed', [write('k', '1')]))
        await commit(opened.backend, planOf('removed', [{ kind: 'remove' }]))
        const names = ['a', 'b', 'empty', '__proto__', 'ü']
        const before = await opened.backend.heads('n', names)
        const { backend, answer, host } = await given.reopen(opened, { flush })
        expect([...(await backend.namespaces())].sort()).toEqual(['n', 'without keys'])
        expect(await keysOf(backend, 'n')).toEqual([...names].sort())
        expect(await keysOf(backend, 'without keys')).toEqual([])
        expect(await backend.heads('n', names)).toEqual(before)
        expect(await textOf(backend, 'n', 'a')).toBe('again')
        expect(await textOf(backend, 'n', 'b')).toBe('file')
        expect(await textOf(backend, 'n', 'b/c')).toBeNull()
        if (flush) expect(answer.recovered).toBeNull()
        expect([host.failures, host.externals]).toEqual([[], []])
      },
    )
  }
  given.testUnless('reopen', 'opening and closing many times changes nothing', async () => {
    let opened = await given.open()
    await commit(opened.backend, creating('n', [write('a/b', 'text', { writerId: 'ann' })]))
    const before = await opened.backend.heads('n', ['a/b'])
    for (let round = 0; round < 5; round += 1) {
      opened = await given.reopen(opened, { flush: round % 2 === 0 })
      expect(await opened.backend.heads('n', ['a/b'])).toEqual(before)
      expect(await textOf(opened.backend, 'n', 'a/b')).toBe('text')
    }
  })
  given.test('a close answers whether the tree is up to date', async () => {
    const opened = await given.open()
    await commit(opened.backend, creating('n', [write('k', '1')]))
    const reports: [number, number][] = []
    const onProgress = (done: number, total: number): void => void reports.push([done, total])
    expect(await given.close(opened, { flush: true, onProgress })).toBe(true)
    for (const [done, total] of reports) expect(done).toBeLessThanOrEqual(total)
  })
}

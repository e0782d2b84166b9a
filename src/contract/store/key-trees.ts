/** Keys are paths of files: what this forbids, and what it must not forbid. */
import { expect } from 'vitest'
import { refusal } from '../observe.js'
import type { Given } from '../given.js'

export function keyTrees(given: Given): void {
  blocking(given)
  missing(given)
  metadataNames(given)
  replacing(given)
}

function blocking(given: Given): void {
  given.test('I7: while `a` exists `a/b` is KEY_BLOCKED by it, and the other way round', async () => {
    const session = await given.session()
    await session.write('a', '1')
    const below = await refusal('KEY_BLOCKED', () => session.write('a/b', '2'))
    expect(below).toMatchObject({ by: 'a', key: 'a/b', namespace: session.namespace, outcome: 'unchanged' })
    const deeper = await refusal('KEY_BLOCKED', () => session.batch([{ write: 'a/b/c/d', value: '2' }]))
    expect(deeper.by).toBe('a')
    await session.write('x/y/z', '3')
    const above = await refusal('KEY_BLOCKED', () => session.update('x', () => '4'))
    expect(above).toMatchObject({ by: 'x/y/z', outcome: 'unchanged' })
    expect((await refusal('KEY_BLOCKED', () => session.write('x/y', '4'))).by).toBe('x/y/z')
    expect(await session.list()).toEqual(['a', 'x/y/z'])
  })
  given.test('a key that only begins alike blocks nothing', async () => {
    const session = await given.session()
    for (const key of ['a', 'ab/c', 'a.b/c', 'a!', 'a0/b']) await session.write(key, key)
    expect(await session.list()).toEqual(['a', 'a!', 'a.b/c', 'a0/b', 'ab/c'])
  })
  given.test('a blocked key is free again when what blocked it is deleted', async () => {
    const session = await given.session()
    await session.batch([
      { write: 'a/b/c', value: '1' },
      { write: 'a/d', value: '2' },
    ])
    await session.delete('a/b/c')
    expect((await refusal('KEY_BLOCKED', () => session.write('a', '3'))).by).toBe('a/d')
    await session.write('a/b', 'file in the place of a directory')
    await session.delete('a/b')
    await session.delete('a/d')
    await session.write('a', '4')
    await session.delete('a')
    await session.write('a/b/c', '5')
    expect(await session.list()).toEqual(['a/b/c'])
  })
  given.test(
    'of `a` and `a/b`, first written at the same moment, one is written and one refused',
    async () => {
      const session = await given.session()
      const settled = await Promise.allSettled([session.write('a/b', '1'), session.write('a', '2')])
      expect(settled.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected'])
      expect((await session.list()).length).toBe(1)
    },
  )
}

function missing(given: Given): void {
  given.test('reading or deleting a key that cannot exist finds nothing, without an error', async () => {
    const session = await given.session()
    await session.batch([
      { write: 'file', value: '1' },
      { write: 'directory/file', value: '2' },
    ])
    for (const key of ['file/below', 'file/far/below', 'directory']) {
      expect(await session.read(key)).toBeNull()
      expect(await session.readBytes(key)).toBeNull()
      expect(await session.readJson(key)).toBeNull()
      expect(await session.entry(key)).toBeNull()
      expect(await session.stat(key)).toBeNull()
      expect(await session.delete(key)).toMatchObject({ key, deleted: false, revision: null })
      expect(await session.update(key, (value) => (value === null ? undefined : 'found'))).toBeNull()
    }
    expect(await session.list()).toEqual(['directory/file', 'file'])
  })
}

function metadataNames(given: Given): void {
  given.test(
    '`a` and `a.json/b` can both exist, whichever came first, each with its own writer',
    async () => {
      for (const names of [
        ['a', 'a.json/b'],
        ['a.json/b', 'a'],
      ]) {
        const [ann, ben] = await given.writers('ann', 'ben')
        await ann.write(names[0]!, 'first')
        await ben.write(names[1]!, 'second')
        expect(await ann.read(names[0]!)).toBe('first')
        expect(await ann.read(names[1]!)).toBe('second')
        expect((await ann.stat(names[0]!))?.writer?.writerId).toBe('ann')
        expect((await ann.stat(names[1]!))?.writer?.writerId).toBe('ben')
        expect(await ann.list()).toEqual(['a', 'a.json/b'])
        await ann.delete(names[0]!)
        expect((await ann.stat(names[1]!))?.writer?.writerId).toBe('ben')
        expect(await ann.list()).toEqual([names[1]])
      }
    },
  )
  given.test('`a`, `a.json` and `a.json.json` are three keys', async () => {
    const session = await given.session()
    for (const key of ['a', 'a.json', 'a.json.json']) await session.write(key, key)
    await session.delete('a')
    expect(await session.list()).toEqual(['a.json', 'a.json.json'])
    expect(await session.read('a.json')).toBe('a.json')
  })
}

function replacing(given: Given): void {
  given.test(
    'one batch may delete `a` and write `a/b`, or the other way round, in any order of its operations',
    async () => {
      const session = await given.session()
      await session.write('a', '1')
      await session.batch([{ write: 'a/b', value: '2' }, { delete: 'a' }])
      expect(await session.list()).toEqual(['a/b'])
      await session.batch([{ delete: 'a/b' }, { write: 'a', value: '3' }])
      expect(await session.list()).toEqual(['a'])
      await session.batch([{ delete: 'a' }, { write: 'a/b/c', value: '4' }])
      await session.batch([{ write: 'a/b', value: '5' }, { delete: 'a/b/c' }])
      expect(await session.list()).toEqual(['a/b'])
      expect(await session.read('a/b')).toBe('5')
    },
  )
  given.test('I4: a batch that writes both `a` and `a/b` is KEY_BLOCKED as a whole', async () => {
    const session = await given.session()
    const error = await refusal('KEY_BLOCKED', () =>
      session.batch([
        { write: 'other', value: '0' },
        { write: 'a/b', value: '1' },
        { write: 'a', value: '2' },
      ]),
    )
    expect(['a', 'a/b']).toContain(error.by)
    expect(await session.list()).toEqual([])
  })
}

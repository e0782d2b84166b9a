import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { memoryBackend, openStore } from '../../src/index.js'
import { locate, PROGRESS_KEY, ROOT_NAMESPACE } from '../../src/replay/location.js'

describe('the place of a path', () => {
  test.each([
    ['src/a/b.ts', 'src', 'a/b.ts'],
    ['README.md', '%root', 'README.md'],
    ['.github/.gitignore', '.github', '.gitignore'],
    ['My Folder/My File (1).txt', 'My Folder', 'My File (1).txt'],
    ['äöü/日本.md', 'äöü', '日本.md'],
    ['%root/a', '%=%25root', 'a'],
    ['a/%replay.json', 'a', '%=%25replay.json'],
    ['a/%=b', 'a', '%=%25=b'],
    ['.agent_state/a', '%=%2eagent_state', 'a'],
    ['.git/a', '%=%2egit', 'a'],
    ['a/.agent_state_meta/b', 'a', '%=%2eagent_state_meta/b'],
    ['a/x.agent_state_tmp1', 'a', '%=x%2eagent_state_tmp1'],
    ['a/ b', 'a', '%=%20b'],
    ['a/b\u00a0', 'a', '%=b%a0'],
    ['a/b\nc', 'a', '%=b%0ac'],
    ['a/b\u202ec', 'a', '%=b%u202ec'],
  ])('of %j is namespace %j and key %j', (path, namespace, key) => {
    expect(locate(path)).toEqual({ namespace, key })
  })

  test('is none where a name is too long', () => {
    expect(locate(`a/${'n'.repeat(250)}`)).not.toBeNull()
    expect(locate(`a/${'n'.repeat(251)}`)).toBeNull()
    expect(locate(`${'n'.repeat(200)}/a`)).not.toBeNull()
    expect(locate(`${'n'.repeat(201)}/a`)).toBeNull()
    expect(locate(`a/%${'ü'.repeat(90)}`)).toBeNull()
  })
})

const component = fc
  .oneof(
    fc.string({ minLength: 1, maxLength: 6, unit: 'grapheme' }),
    fc.string({ minLength: 1, maxLength: 6, unit: 'binary' }),
    fc.constantFrom(
      '%root',
      '%=a',
      '%25',
      PROGRESS_KEY,
      ROOT_NAMESPACE,
      '.agent_state',
      '.git',
      '.GIT',
      ' ',
      '~',
    ),
  )
  .map((name) => name.replace(/[/\0]/g, '-'))
  .filter((name) => name !== '.' && name !== '..')
const anyPath = fc.array(component, { minLength: 1, maxLength: 4 }).map((components) => components.join('/'))

describe('the places of any paths', () => {
  test('are different for different paths, and never our own key', () => {
    fc.assert(
      fc.property(anyPath, anyPath, (one, other) => {
        expect(locate(one)?.key.split('/')).not.toContain(PROGRESS_KEY)
        if (one !== other) expect(locate(one)).not.toEqual(locate(other))
        if (one.includes('/')) expect(locate(one)?.namespace).not.toBe(ROOT_NAMESPACE)
      }),
    )
  })

  test('are taken by the store as they are', async () => {
    const store = await openStore({ backend: memoryBackend() })
    try {
      await fc.assert(
        fc.asyncProperty(anyPath, async (path) => {
          const place = locate(path) ?? { namespace: '', key: '' }
          const session = await store.init(place.namespace)
          expect((await session.write(place.key, '')).key).toBe(place.key)
          await session.delete(place.key)
        }),
      )
    } finally {
      await store.close()
    }
  })
})

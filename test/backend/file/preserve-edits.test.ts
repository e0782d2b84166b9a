import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, utimesSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { nodeFileSystem, type FileSystem } from '../../../src/backend/file/file-system.js'
import type { MaterializeAnswer, TreeOperation } from '../../../src/backend/file/tasks.js'
import { materialize } from '../../../src/backend/file/tree-writer.js'
import { FaultyFileSystem } from './faulty-file-system.js'
import { AT_MS, known, TreeFixture } from './tree-fixture.js'

let tree: TreeFixture

beforeEach(() => {
  tree = new TreeFixture()
})
afterEach(() => tree.remove())

function apply(...operations: TreeOperation[]): MaterializeAnswer {
  return materialize(nodeFileSystem, tree.task(operations))
}

/** What lies in the directory for hand edits: content by key, as the notes beside them say. */
function preserved(): Record<string, string> {
  const directory = '.agent_state/preserved'
  if (!existsSync(tree.path(directory))) return {}
  const found: Record<string, string> = {}
  for (const name of readdirSync(tree.path(directory))) {
    if (!name.endsWith('.json')) continue
    const note = JSON.parse(tree.text(`${directory}/${name}`) ?? '') as { namespace: string; key: string }
    expect(note.namespace).toBe('ns')
    found[note.key] = tree.text(`${directory}/${name.slice(0, -'.json'.length)}`) ?? 'missing'
  }
  return found
}

test('what a removal of the namespace had not come to when it was cut off is no edit by hand', () => {
  tree.put('ns/a/k', 'of before the removal, its metadata is gone')
  const operation = tree.write('a/k', 'new', { known: [known('new')] })
  expect(materialize(nodeFileSystem, tree.task([operation], 'recreate'))).toEqual({
    failures: [],
    preserved: [],
  })
  expect(tree.text('ns/a/k')).toBe('new')
  tree.put('ns/a/k', 'edited by hand')
  const again = materialize(nodeFileSystem, tree.task([operation], 'recreate'))
  expect(again.preserved, 'beside metadata it is one').toHaveLength(1)
})

const everyOperation = [
  ['a write', (key: string) => tree.write(key, 'new', { known: [known('new'), known('older')] })],
  ['a delete', (key: string) => tree.delete(key, [known('older')])],
] as const

describe.each(everyOperation)('before recovery applies %s', (_, operation) => {
  test('a content that was edited by hand is moved away, with a note of where it was', () => {
    apply(tree.write('a/k', 'old'))
    tree.put('ns/a/k', 'edited by hand')
    const answer = apply(operation('a/k'))
    expect(answer.failures).toEqual([])
    expect(answer.preserved).toEqual([
      { key: 'a/k', preservedAs: expect.stringMatching(/^\.agent_state\/preserved\/[-0-9a-f]{36}$/) },
    ])
    expect(tree.text(answer.preserved[0]!.preservedAs)).toBe('edited by hand')
    expect(preserved()).toEqual({ 'a/k': 'edited by hand' })
    expect(tree.text('ns/a/k')).toBe(operation('a/k').kind === 'write' ? 'new' : null)
    expect(tree.temporaries()).toEqual([])
    expect(apply(operation('a/k'))).toEqual({ failures: [], preserved: [] })
  })

  test.each([
    ['fits its metadata by size and time', () => void apply(tree.write('k', 'old'))],
    [
      'fits its metadata by checksum',
      () => {
        apply(tree.write('k', 'old'))
        utimesSync(tree.path('ns/k'), 1, 1)
      },
    ],
    [
      'fits metadata in the second place',
      () => {
        apply(tree.write('x', '1'), tree.write('x.json/k', '2'))
      },
    ],
    ['is one that the journal knows', () => void tree.put('ns/k', 'older')],
    ['is missing', () => {}],
    ['would lie in a directory that is none', () => void tree.put('ns/x.json', 'file')],
  ])('nothing is moved when the content %s', (_name, prepare) => {
    prepare()
    for (const key of ['k', 'x.json/k']) expect(apply(operation(key)).preserved).toEqual([])
    expect(preserved()).toEqual({})
  })

  test.each([
    ['has no metadata', ''],
    ['has metadata of the origin', '{\n  "writer": {},\n  "updated_at": 5\n}'],
    ['has damaged metadata', '{'],
  ])('a content that %s and is not known is moved', (_name, metadata) => {
    tree.put('ns/k', 'by hand')
    if (metadata !== '') tree.put('ns/.agent_state_meta/k.json', metadata)
    expect(apply(operation('k')).preserved).toHaveLength(1)
    expect(preserved()).toEqual({ k: 'by hand' })
  })

  test('a content with another store’s metadata is moved', () => {
    const context = { ...tree.context, storeId: 'another' }
    materialize(nodeFileSystem, { ...tree.task([tree.write('k', 'theirs')]), context })
    expect(apply(operation('k')).preserved).toHaveLength(1)
    expect(preserved()).toEqual({ k: 'theirs' })
  })

  test('a content of another size is moved even if its time was set back', () => {
    apply(tree.write('k', 'old'))
    tree.put('ns/k', 'edited by hand', AT_MS)
    apply(operation('k'))
    expect(preserved()).toEqual({ k: 'edited by hand' })
  })

  test('a content of the same size as a known one is told apart by its bytes', () => {
    tree.put('ns/k', 'oldex')
    apply(operation('k'))
    expect(preserved()).toEqual({ k: 'oldex' })
  })

  test('a symlink or directory is no content to keep', () => {
    tree.put('ns/target', 'kept')
    symlinkSync('target', tree.path('ns/symlink'))
    mkdirSync(tree.path('ns/directory'))
    const answer = apply(operation('symlink'), operation('directory'))
    expect(answer.preserved).toEqual([])
    expect(tree.text('ns/target')).toBe('kept')
    expect(answer.failures.length).toBe(operation('k').kind === 'write' ? 1 : 0)
  })

  test('a content that can’t be looked at or moved stays, and the operation fails', () => {
    for (const failing of ['open', 'read', 'rename'] as const) {
      tree.put('ns/k', 'later', AT_MS)
      const fs = new FaultyFileSystem(({ name, path }) =>
        name === failing && (path === tree.path('ns/k') || path.includes('/preserved/')) ? 'EACCES' : null,
      )
      const { failures } = materialize(fs, tree.task([operation('k')]))
      expect(failures, failing).toMatchObject([{ index: 0, code: 'EACCES' }])
      expect(tree.text('ns/k')).toBe('later')
      expect(fs.opened.size).toBe(0)
      expect(preserved()).toEqual({})
    }
  })
})

test('without a list of what is known, nothing is looked at: the tree is the store’s own while it is open', () => {
  tree.put('ns/k', 'by hand')
  expect(apply(tree.write('k', 'new'))).toEqual({ failures: [], preserved: [] })
  expect(preserved()).toEqual({})
})

test('the note and the content are durable before the key’s own files change', () => {
  tree.put('ns/k', 'by hand')
  const fs = new FaultyFileSystem()
  materialize(fs, tree.task([tree.write('k', 'new', { known: [] })]))
  const calls = fs.calls
    .filter(({ name }) => ['sync', 'rename'].includes(name))
    .map(({ name, path }) => `${name} ${path.slice(tree.root.length + 1)}`.replace(/[-0-9a-f]{36}/, '*'))
  expect(calls.slice(0, calls.indexOf('rename ns/k'))).toEqual([
    'sync .agent_state/preserved/*.json',
    'sync ns/k',
    'sync .agent_state/preserved',
    'rename .agent_state/preserved/*',
    'sync .agent_state/preserved',
    'sync .agent_state',
    'sync ns',
    'sync ',
    'sync ns',
    'sync .agent_state/tmp/*',
    'sync .agent_state/tmp/*',
  ])
})

describe.each(['remove', 'recreate'] as const)('a namespace of which the tree is to show: %s', (change) => {
  const BEFORE_MS = AT_MS - 1
  const AFTER_MS = AT_MS + 1000

  function remove(fs: FileSystem = nodeFileSystem): MaterializeAnswer {
    return materialize(fs, { ...tree.task([], change), removedAtMs: AT_MS })
  }

  test('gives what was put there since a place of its own, and nothing else', () => {
    apply(tree.write('own', '1'), tree.write('deep/own', '2'), tree.write('edited', '3'))
    tree.put('ns/old', 'by hand, before', BEFORE_MS)
    tree.put('ns/edited', 'by hand', AFTER_MS)
    tree.put('ns/deep/new', 'by hand, too', AFTER_MS)
    tree.put('ns/.agent_state_meta/new.json', 'no content', AFTER_MS)
    tree.put('ns/k.agent_state_tmp', 'left by the origin', AFTER_MS)
    symlinkSync('elsewhere', tree.path('ns/link'))
    const { failures, preserved: moved } = remove()
    expect(failures).toEqual([])
    expect(moved.map(({ key }) => key).sort()).toEqual(['deep/new', 'edited'])
    expect(preserved()).toEqual({ edited: 'by hand', 'deep/new': 'by hand, too' })
    expect(tree.snapshot()).toEqual(change === 'remove' ? {} : { 'ns/': 'directory' })
    expect(remove()).toEqual({ failures: [], preserved: [] })
  })

  test('has nothing else in it where it was copied without its times', () => {
    for (const key of ['a', 'deep/b']) {
      apply(tree.write(key, 'own'))
      utimesSync(tree.path(`ns/${key}`), AFTER_MS / 1000, AFTER_MS / 1000)
    }
    expect(remove()).toEqual({ failures: [], preserved: [] })
  })

  test('loses what can not be read like the rest, and what is no file is not opened', () => {
    apply(tree.write('a', '1'))
    const opened: string[] = []
    const fs = new FaultyFileSystem(({ name, path }) => {
      if (name !== 'open') return null
      opened.push(path)
      return path === tree.path('ns/a') ? 'EACCES' : null
    })
    expect(remove(fs)).toEqual({ failures: [], preserved: [] })
    expect(existsSync(tree.path('ns/a'))).toBe(false)
    expect(opened.filter((path) => path.includes('/ns/') && !path.endsWith('meta'))).toEqual([])
  })

  test('gives a place of its own to what only others may read, too', () => {
    tree.put('ns/k', 'by root', AFTER_MS)
    const fs = new FaultyFileSystem(({ name, path }) =>
      name === 'open' && path === tree.path('ns/k') ? 'EACCES' : null,
    )
    expect(remove(fs)).toMatchObject({ failures: [], preserved: [{ key: 'k' }] })
    expect(preserved()).toEqual({ k: 'by root' })
  })

  test('gives what was put to the place of a key without metadata that was written since, too', () => {
    tree.put('ns/k', 'by hand', AFTER_MS)
    const task = {
      ...tree.task([tree.write('k', 'own', { known: [known('own')] })], change),
      removedAtMs: AT_MS,
    }
    expect(materialize(nodeFileSystem, task).preserved.map(({ key }) => key)).toEqual(['k'])
    expect(preserved()).toEqual({ k: 'by hand' })
    expect(tree.text('ns/k')).toBe('own')
  })

  test('waits until what an earlier attempt has moved is durable', () => {
    tree.put('ns/k', 'by hand', AFTER_MS)
    tree.put('ns/old', 'goes', BEFORE_MS)
    mkdirSync(tree.path('.agent_state/preserved'), { recursive: true })
    const fs = new FaultyFileSystem(({ name, path }) =>
      name === 'sync' && path === tree.path('.agent_state/preserved') ? 'EIO' : null,
    )
    expect(remove(fs)).toMatchObject({ failures: [{ index: -1, code: 'EIO' }], preserved: [] })
    expect(tree.contents()).toEqual(['ns/k', 'ns/old'])
  })

  test('has nothing else in it where the clock was set back since it was written', () => {
    const atMs = AFTER_MS
    apply(
      tree.write('a', '1', { atMs }),
      tree.write('deep/b', '2', { atMs }),
      tree.write('a.json/c', '3', { atMs }),
    )
    expect(remove()).toEqual({ failures: [], preserved: [] })
    expect(preserved()).toEqual({})
  })

  test('has nothing else in it of a key that was written and deleted since, whatever is left of it', () => {
    apply(tree.write('a/b', 'written since', { atMs: AFTER_MS }))
    rmSync(tree.path('ns/.agent_state_meta'), { recursive: true })
    const operation = tree.delete('a/b', [known('written since')])
    const task = { ...tree.task([operation], change), removedAtMs: AT_MS }
    expect(materialize(nodeFileSystem, task)).toEqual({ failures: [], preserved: [] })
    expect(preserved()).toEqual({})
  })

  test('stays pending while what is in the way can not be moved, which is not deleted', () => {
    tree.put('ns/k', 'by hand', AFTER_MS)
    const fs = new FaultyFileSystem(({ name }) => (name === 'rename' ? 'EIO' : null))
    expect(remove(fs).failures).toMatchObject([{ index: -1 }])
    expect(tree.text('ns/k')).toBe('by hand')
    remove()
    expect(preserved()).toEqual({ k: 'by hand' })
  })
})

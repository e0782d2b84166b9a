import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readCheckpoint } from '../../../src/backend/file/checkpoint.js'
import { nodeFileSystem, type FileSystem } from '../../../src/backend/file/file-system.js'
import { storeLayout } from '../../../src/backend/file/layout.js'
import { prepareFormat, prepareRoot, prepareStoreDirectories } from '../../../src/backend/file/root.js'
import { refusal } from '../../../src/contract/observe.js'
import { AgentStateError } from '../../../src/errors.js'
import { FaultyFileSystem, unsyncedFileSystem } from './faulty-file-system.js'
import { OTHER_STORE_ID, STORE_ID, temporaryDirectory } from './journal-builder.js'

const MODES = { file: 0o600, directory: 0o700 }

function prepare(path: string, fs: FileSystem = unsyncedFileSystem, storeId = STORE_ID): string {
  const prepared = prepareRoot(fs, path, MODES)
  return prepareFormat(fs, prepared, MODES, () => storeId)
}

function directory(): string {
  return realpathSync(temporaryDirectory())
}

describe('finding or making a root', () => {
  test('missing directories are made, private, and durable from the top down', () => {
    const base = directory()
    const fs = new FaultyFileSystem(() => null, unsyncedFileSystem)
    const { root, layout } = prepareRoot(fs, join(base, 'a', 'b'), MODES)
    expect([root, layout]).toEqual([join(base, 'a', 'b'), storeLayout(join(base, 'a', 'b'))])
    for (const path of [join(base, 'a'), root, layout.directory]) {
      expect(lstatSync(path).mode & 0o777).toBe(0o700)
    }
    const synced = fs.calls.filter(({ name }) => name === 'sync').map(({ path }) => path)
    expect(synced).toEqual(expect.arrayContaining([base, join(base, 'a'), root]))
    expect(fs.opened.size).toBe(0)
  })

  test('a root that is there is used as it is, also behind a symlink, by its own path', () => {
    const base = directory()
    mkdirSync(join(base, 'real'), { mode: 0o755 })
    symlinkSync(join(base, 'real'), join(base, 'link'))
    expect(prepareRoot(unsyncedFileSystem, join(base, 'link'), MODES).root).toBe(join(base, 'real'))
    expect(lstatSync(join(base, 'real')).mode & 0o777).toBe(0o755)
  })

  test('what can not be a root is ROOT_UNUSABLE with its path, and nothing is made', async () => {
    const base = directory()
    writeFileSync(join(base, 'file'), '')
    symlinkSync(join(base, 'nowhere'), join(base, 'dangling'))
    symlinkSync(join(base, 'file'), join(base, 'to-file'))
    mkdirSync(join(base, 'taken'))
    writeFileSync(join(base, 'taken', '.agent_state'), '')
    for (const name of ['file', 'file/below', 'dangling', 'to-file', 'taken']) {
      const error = await refusal('ROOT_UNUSABLE', () => prepare(join(base, name)))
      expect(error.path).toContain(base)
      expect(error.outcome).toBe('unchanged')
    }
    expect(readdirSync(base).toSorted()).toEqual(['dangling', 'file', 'taken', 'to-file'])
    expect(readFileSync(join(base, 'file'), 'utf8')).toBe('')
  })

  test('I7: a root so deep that metadata paths would not fit is refused', async () => {
    const base = directory()
    const deep = Array.from({ length: 11 }, () => 'd'.repeat(250))
    await refusal('ROOT_UNUSABLE', () => prepareRoot(unsyncedFileSystem, join(base, ...deep), MODES))
    expect(readdirSync(base)).toEqual([])
    mkdirSync(join(base, ...deep), { recursive: true })
    symlinkSync(join(base, ...deep), join(base, 'link'))
    await refusal('ROOT_UNUSABLE', () => prepareRoot(unsyncedFileSystem, join(base, 'link'), MODES))
  })

  test('a directory that another process makes in the same moment is no error', () => {
    const base = directory()
    const fs: FileSystem = {
      ...unsyncedFileSystem,
      makeDirectory: (path, mode) => {
        mkdirSync(path)
        nodeFileSystem.makeDirectory(path, mode)
      },
    }
    expect(prepareRoot(fs, join(base, 'a', 'b'), MODES).root).toBe(join(base, 'a', 'b'))
  })

  test('directories above it that are not ours may refuse to be synced; those of our own may not', async () => {
    const base = directory()
    const denied = (code: string): FileSystem =>
      new FaultyFileSystem(
        ({ name, path }) => (name === 'open' && path === base ? code : null),
        unsyncedFileSystem,
      )
    mkdirSync(join(base, 'root'))
    expect(prepare(join(base, 'root'), denied('EACCES'))).toBe(STORE_ID)
    await refusal('ROOT_UNUSABLE', () => prepare(join(base, 'root'), denied('EIO')))
    await refusal('ROOT_UNUSABLE', () => prepare(join(base, 'new'), denied('EACCES')))
  })

  test('what was there is synced under the lock only: before it, many may come again and again', () => {
    const base = directory()
    prepare(base)
    const fs = new FaultyFileSystem(() => null, unsyncedFileSystem)
    const synced = (): unknown[] => fs.calls.filter(({ name }) => name === 'sync').map(({ path }) => path)
    const prepared = prepareRoot(fs, base, MODES)
    expect(synced()).toEqual([])
    prepareFormat(fs, prepared, MODES, () => OTHER_STORE_ID)
    expect(synced()).toEqual(expect.arrayContaining(['/', dirname(base), base, prepared.layout.directory]))
  })
})

describe('the store in a root', () => {
  test('a new one has a format, a clean checkpoint and an ignore list; its directories are private', () => {
    const base = directory()
    expect(prepare(base)).toBe(STORE_ID)
    const { layout } = prepareRoot(unsyncedFileSystem, base, MODES)
    expect(readCheckpoint(nodeFileSystem, layout.checkpoint, STORE_ID).state).toMatchObject({
      clean: true,
      ceiling: 0,
      reached: 1,
    })
    expect(readFileSync(layout.gitignore, 'utf8')).toBe('*\n')
    for (const name of ['journal', 'tmp', 'preserved'] as const) {
      expect(lstatSync(layout[name]).mode & 0o777).toBe(0o700)
    }
    expect(lstatSync(layout.format).mode & 0o777).toBe(0o600)
  })

  test('one that is there keeps its id; directories that somebody removed are made again', () => {
    const base = directory()
    prepare(base)
    const prepared = prepareRoot(unsyncedFileSystem, base, MODES)
    rmSync(prepared.layout.tmp, { recursive: true })
    expect(prepare(base, unsyncedFileSystem, OTHER_STORE_ID)).toBe(STORE_ID)
    expect(existsSync(prepared.layout.tmp)).toBe(false)
    prepareStoreDirectories(unsyncedFileSystem, prepared, MODES)
    expect(existsSync(prepared.layout.tmp)).toBe(true)
  })

  test('an ignore list of somebody else stays', () => {
    const base = directory()
    mkdirSync(join(base, '.agent_state'))
    writeFileSync(join(base, '.agent_state', '.gitignore'), '# mine\n')
    prepare(base)
    expect(readFileSync(join(base, '.agent_state', '.gitignore'), 'utf8')).toBe('# mine\n')
  })

  test('a journal without a format file is no new store: nothing is changed', async () => {
    const base = directory()
    prepare(base)
    const { layout } = prepareRoot(unsyncedFileSystem, base, MODES)
    writeFileSync(join(layout.journal, '0000000000000001'), 'acknowledged')
    rmSync(layout.format)
    const checkpoint = readFileSync(layout.checkpoint)
    const error = await refusal('METADATA_CORRUPT', () => prepare(base, unsyncedFileSystem, OTHER_STORE_ID))
    expect(error.path).toBe(layout.format)
    expect(readFileSync(layout.checkpoint)).toEqual(checkpoint)
    expect(existsSync(layout.format)).toBe(false)
  })

  test("a checkpoint that is missing or another store's is an error before anything is opened", async () => {
    const base = directory()
    prepare(base)
    const { layout } = prepareRoot(unsyncedFileSystem, base, MODES)
    const other = directory()
    prepare(other, unsyncedFileSystem, OTHER_STORE_ID)
    writeFileSync(layout.checkpoint, readFileSync(storeLayout(other).checkpoint))
    await refusal('METADATA_CORRUPT', () => prepare(base))
    rmSync(layout.checkpoint)
    await refusal('METADATA_CORRUPT', () => prepare(base))
  })

  test('I1: whatever call fails while a root is made, it is a clear error, and trying again makes it whole', () => {
    const count = (() => {
      const fs = new FaultyFileSystem(() => null, unsyncedFileSystem)
      prepare(join(directory(), 'root'), fs)
      return fs.calls.length
    })()
    expect(count).toBeGreaterThan(40)
    for (let index = 0; index < count; index++) {
      const root = join(directory(), 'root')
      const fs = new FaultyFileSystem((_, at) => (at === index ? 'EIO' : null), unsyncedFileSystem)
      let error: unknown = null
      try {
        prepare(root, fs)
      } catch (thrown) {
        error = thrown
      }
      const failed = fs.calls[index]!
      if (error !== null && !AgentStateError.is(error))
        throw new Error(`${failed.name} ${failed.path}`, { cause: error })
      expect(fs.opened.size, `${failed.name} ${failed.path}`).toBe(0)
      const storeId = prepare(root, unsyncedFileSystem, OTHER_STORE_ID)
      const { checkpoint } = storeLayout(realpathSync(root))
      expect(readCheckpoint(nodeFileSystem, checkpoint, storeId).state.clean).toBe(true)
      if (error === null) expect(storeId).toBe(STORE_ID)
    }
  })
})

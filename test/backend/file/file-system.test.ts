import { execFileSync } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  errorCode,
  nodeFileSystem,
  readFully,
  syncDirectory,
  systemError,
  writeFully,
  type FileSystem,
} from '../../../src/backend/file/file-system.js'
import { FaultyFileSystem } from './faulty-file-system.js'

const ON_WINDOWS = process.platform === 'win32'
const fs = nodeFileSystem
let directory: string

beforeEach(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'agent-state-fs-')))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

function codeOf(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    return errorCode(error)
  }
  return 'no error'
}

function closing<T>(fd: number, use: (fd: number) => T): T {
  try {
    return use(fd)
  } finally {
    fs.close(fd)
  }
}

describe('opening', () => {
  test('create-exclusive makes a file with the mode asked for, private by default, and never opens an old one', () => {
    fs.close(fs.open(`${directory}/private`, 'create-exclusive'))
    fs.close(fs.open(`${directory}/open`, 'create-exclusive', 0o640))
    if (!ON_WINDOWS) {
      expect(statSync(`${directory}/private`).mode & 0o777).toBe(0o600)
      expect(statSync(`${directory}/open`).mode & 0o777).toBe(0o640)
    }
    expect(codeOf(() => fs.open(`${directory}/open`, 'create-exclusive'))).toBe('EEXIST')
  })

  test('only read-write-create makes a missing file, and it keeps what is there', () => {
    for (const how of ['read', 'read-write', 'directory'] as const) {
      expect(codeOf(() => fs.open(`${directory}/missing`, how))).toBe('ENOENT')
    }
    writeFileSync(`${directory}/kept`, 'kept')
    fs.close(fs.open(`${directory}/kept`, 'read-write-create'))
    fs.close(fs.open(`${directory}/made`, 'read-write-create'))
    expect(readFileSync(`${directory}/kept`, 'utf8')).toBe('kept')
    expect(readFileSync(`${directory}/made`, 'utf8')).toBe('')
  })

  test.skipIf(ON_WINDOWS)('never follows a symlink at the end of the path', () => {
    mkdirSync(`${directory}/target`)
    writeFileSync(`${directory}/file`, '')
    symlinkSync('target', `${directory}/to-directory`)
    symlinkSync('file', `${directory}/to-file`)
    symlinkSync('missing', `${directory}/to-nothing`)
    for (const how of ['read', 'read-write', 'read-write-create', 'create-exclusive'] as const) {
      expect(
        codeOf(() => fs.open(`${directory}/to-file`, how)),
        how,
      ).toMatch(/ELOOP|EEXIST|EMLINK|EFTYPE/)
      expect(
        codeOf(() => fs.open(`${directory}/to-nothing`, how)),
        how,
      ).toMatch(/ELOOP|EEXIST|EMLINK|EFTYPE/)
    }
    expect(codeOf(() => fs.open(`${directory}/to-directory`, 'directory'))).toMatch(/ENOTDIR|ELOOP/)
    expect(fs.lstat(`${directory}/missing`)).toBeNull()
  })

  test.skipIf(ON_WINDOWS)('a FIFO without a writer is opened for reading at once', () => {
    execFileSync('mkfifo', [`${directory}/fifo`])
    expect(closing(fs.open(`${directory}/fifo`, 'read'), (fd) => fs.stat(fd).kind)).toBe('other')
    expect(fs.lstat(`${directory}/fifo`)?.kind).toBe('other')
  })
})

describe('looking', () => {
  test('lstat says null where nothing is, also behind a file, and tells the kinds apart', () => {
    writeFileSync(`${directory}/file`, 'five!')
    symlinkSync('file', `${directory}/symlink`)
    expect(fs.lstat(`${directory}/missing`)).toBeNull()
    expect(fs.lstat(`${directory}/missing/below`)).toBeNull()
    expect(fs.lstat(`${directory}/file/below`)).toBeNull()
    expect(fs.lstat(directory)?.kind).toBe('directory')
    expect(fs.lstat(`${directory}/symlink`)?.kind).toBe('symlink')
    const stats = statSync(`${directory}/file`)
    expect(fs.lstat(`${directory}/file`)).toEqual({
      kind: 'file',
      size: 5,
      mtimeMs: stats.mtimeMs,
      dev: stats.dev,
      ino: stats.ino,
      mode: stats.mode,
      uid: stats.uid,
      links: stats.nlink,
    })
  })

  test('a path that the system does not take is an error, not "nothing there"', () => {
    expect(codeOf(() => fs.lstat(`${directory}/${'x'.repeat(300)}`))).toBe('ENAMETOOLONG')
  })

  test('list gives names and kinds', () => {
    writeFileSync(`${directory}/file`, '')
    mkdirSync(`${directory}/.hidden`)
    symlinkSync('.hidden', `${directory}/symlink`)
    const entries = fs.list(directory).sort((a, b) => (a.name < b.name ? -1 : 1))
    expect(entries).toEqual([
      { name: '.hidden', kind: 'directory' },
      { name: 'file', kind: 'file' },
      { name: 'symlink', kind: 'symlink' },
    ])
    expect(codeOf(() => fs.list(`${directory}/missing`))).toBe('ENOENT')
    expect(codeOf(() => fs.list(`${directory}/file`))).toBe('ENOTDIR')
  })

  test.skipIf(process.platform !== 'linux')(
    'list leaves out names that are not UTF-8 and keeps all others as they are',
    () => {
      const bad = [[0xff], [0x61, 0xc3], [0xed, 0xa0, 0x80]]
      for (const bytes of bad) {
        writeFileSync(Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(bytes)]), '')
      }
      const good = ['plain', 'a replacement \uFFFD', '\uFEFFmark', 'line\nbreak', '😀']
      for (const name of good) writeFileSync(`${directory}/${name}`, '')
      expect(
        fs
          .list(directory)
          .map((entry) => entry.name)
          .sort(),
      ).toEqual(good.sort())
      expect(fs.list(directory).every((entry) => entry.kind === 'file')).toBe(true)
    },
  )
})

test('setTimes keeps whole milliseconds whole', () => {
  const times = [0, 1, 999, 1_795_369_429_123, 1_795_369_429_999, 4_102_444_800_001]
  const fd = fs.open(`${directory}/file`, 'create-exclusive')
  closing(fd, () => {
    for (const atMs of times) {
      fs.setTimes(fd, atMs)
      expect(Math.floor(fs.stat(fd).mtimeMs)).toBe(atMs)
      expect(Math.abs(fs.stat(fd).mtimeMs - atMs)).toBeLessThan(0.01)
    }
  })
})

test('rename replaces a file or symlink, not what the symlink points to, and no directory', () => {
  for (const name of ['one', 'two', 'three', 'target', 'old']) writeFileSync(`${directory}/${name}`, name)
  symlinkSync('target', `${directory}/symlink`)
  mkdirSync(`${directory}/directory`)
  fs.rename(`${directory}/one`, `${directory}/old`)
  fs.rename(`${directory}/two`, `${directory}/symlink`)
  expect(readFileSync(`${directory}/old`, 'utf8')).toBe('one')
  expect(readFileSync(`${directory}/symlink`, 'utf8')).toBe('two')
  expect(readFileSync(`${directory}/target`, 'utf8')).toBe('target')
  expect(codeOf(() => fs.rename(`${directory}/three`, `${directory}/directory`))).toMatch(/EISDIR|EPERM/)
})

/** A disk that takes or gives at most three bytes at a time. */
const sluggish: FileSystem = {
  ...nodeFileSystem,
  read: (fd, buffer, offset, length, position) =>
    nodeFileSystem.read(fd, buffer, offset, Math.min(length, 3), position),
  write: (fd, buffer, offset, length, position) =>
    nodeFileSystem.write(fd, buffer, offset, Math.min(length, 3), position),
}

describe('reading and writing fully', () => {
  test('goes on after short writes and short reads', () => {
    const fd = fs.open(`${directory}/file`, 'create-exclusive')
    closing(fd, () => {
      writeFully(sluggish, fd, Buffer.from('0123456789'), 2)
      const bytes = Buffer.alloc(10)
      expect(readFully(sluggish, fd, bytes, 2)).toBe(10)
      expect(bytes.toString()).toBe('0123456789')
    })
    expect(readFileSync(`${directory}/file`, 'latin1')).toBe('\0\x000123456789')
  })

  test('reading ends with the file and says how much there was', () => {
    writeFileSync(`${directory}/file`, 'abcde')
    const fd = fs.open(`${directory}/file`, 'read')
    closing(fd, () => {
      expect(readFully(sluggish, fd, new Uint8Array(100), 1)).toBe(4)
      expect(readFully(sluggish, fd, new Uint8Array(100), 5)).toBe(0)
      expect(readFully(sluggish, fd, new Uint8Array(0), 0)).toBe(0)
    })
  })

  test('a disk that takes nothing is an error, not an endless loop', () => {
    const full: FileSystem = { ...nodeFileSystem, write: () => 0 }
    expect(codeOf(() => writeFully(full, 0, Buffer.from('x'), 0))).toBe('EIO')
    expect(codeOf(() => writeFully(full, 0, new Uint8Array(0), 0))).toBe('no error')
  })
})

test('the asynchronous calls write and reject as the others do', async () => {
  const fd = fs.open(`${directory}/file`, 'create-exclusive')
  expect(await fs.writeAsync(fd, Buffer.from('xabcx'), 1, 3, 2)).toBe(3)
  await fs.datasyncAsync(fd)
  fs.close(fd)
  expect(readFileSync(`${directory}/file`, 'latin1')).toBe('\0\0abc')
  const readOnly = fs.open(`${directory}/file`, 'read')
  await expect(fs.writeAsync(readOnly, Buffer.from('x'), 0, 1, 0)).rejects.toMatchObject({ code: 'EBADF' })
  fs.close(readOnly)
  await expect(fs.datasyncAsync(readOnly)).rejects.toMatchObject({ code: 'EBADF' })
})

test('errorCode gives the code of the system, UNKNOWN where there is none', () => {
  expect(errorCode(systemError('ENOSPC', 'full'))).toBe('ENOSPC')
  expect(systemError('ENOSPC', 'full').message).toBe('ENOSPC: full')
  expect(codeOf(() => fs.unlink(`${directory}/missing`))).toBe('ENOENT')
  for (const other of [
    new Error('x'),
    Object.assign(new Error('x'), { code: 5 }),
    'ENOSPC',
    null,
    undefined,
  ]) {
    expect(errorCode(other)).toBe('UNKNOWN')
  }
})

describe.skipIf(ON_WINDOWS)('syncing a directory', () => {
  test('reports what is not there or no directory', () => {
    writeFileSync(`${directory}/file`, '')
    syncDirectory(fs, directory)
    expect(codeOf(() => syncDirectory(fs, `${directory}/missing`))).toBe('ENOENT')
    expect(codeOf(() => syncDirectory(fs, `${directory}/file`))).toBe('ENOTDIR')
  })

  test.each(['open', 'sync', 'close'] as const)('reports a failing %s and leaves nothing open', (name) => {
    const faulty = new FaultyFileSystem((call) => (call.name === name ? 'EIO' : null))
    expect(codeOf(() => syncDirectory(faulty, directory))).toBe('EIO')
    expect(faulty.opened.size).toBe(0)
  })
})

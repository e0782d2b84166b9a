import { nodeFileSystem, systemError, type FileSystem } from '../../../src/backend/file/file-system.js'

export type Call = Exclude<keyof FileSystem, 'writeAsync' | 'datasyncAsync'>

/** One call that was made, and where. */
export interface MadeCall {
  readonly name: Call
  readonly path: string
}

/** The real file system without waiting for the disk, for tests that pull no plug and run often. */
export const unsyncedFileSystem: FileSystem = { ...nodeFileSystem, sync: () => {}, datasync: () => {} }

/**
 * The real file system, except that chosen calls fail: `fails` is asked before each. A failing write has written half of
 * its bytes, a failing close has closed. Keeps a record of the calls and of what is open.
 */
export class FaultyFileSystem implements FileSystem {
  readonly calls: MadeCall[] = []
  readonly opened: Map<number, string> = new Map()
  readonly #fails: (call: MadeCall, index: number) => string | null
  readonly #base: FileSystem

  constructor(
    fails: (call: MadeCall, index: number) => string | null = () => null,
    base: FileSystem = nodeFileSystem,
  ) {
    this.#fails = fails
    this.#base = base
  }

  open = (...[path, how, mode]: Parameters<FileSystem['open']>): number => {
    this.#before('open', path)
    const fd = this.#base.open(path, how, mode)
    this.opened.set(fd, path)
    return fd
  }

  close = (fd: number): void => {
    const path = this.#pathOf(fd)
    this.opened.delete(fd)
    this.#base.close(fd)
    this.#before('close', path)
  }

  read = (...args: Parameters<FileSystem['read']>): number => {
    this.#before('read', this.#pathOf(args[0]))
    return this.#base.read(...args)
  }

  write = (...[fd, buffer, offset, length, position]: Parameters<FileSystem['write']>): number => {
    try {
      this.#before('write', this.#pathOf(fd))
    } catch (error) {
      this.#base.write(fd, buffer, offset, Math.floor(length / 2), position)
      throw error
    }
    return this.#base.write(fd, buffer, offset, length, position)
  }

  sync = (fd: number): void => this.#onFd('sync', fd, () => this.#base.sync(fd))
  datasync = (fd: number): void => this.#onFd('datasync', fd, () => this.#base.datasync(fd))
  truncate = (fd: number, size: number): void =>
    this.#onFd('truncate', fd, () => this.#base.truncate(fd, size))
  setTimes = (fd: number, atMs: number): void =>
    this.#onFd('setTimes', fd, () => this.#base.setTimes(fd, atMs))
  stat: FileSystem['stat'] = (fd) => this.#onFd('stat', fd, () => this.#base.stat(fd))
  lstat: FileSystem['lstat'] = (path) => this.#onPath('lstat', path, () => this.#base.lstat(path))
  realPath: FileSystem['realPath'] = (path) => this.#onPath('realPath', path, () => this.#base.realPath(path))
  makeDirectory: FileSystem['makeDirectory'] = (path, mode) =>
    this.#onPath('makeDirectory', path, () => this.#base.makeDirectory(path, mode))
  removeDirectory: FileSystem['removeDirectory'] = (path) =>
    this.#onPath('removeDirectory', path, () => this.#base.removeDirectory(path))
  list: FileSystem['list'] = (path) => this.#onPath('list', path, () => this.#base.list(path))
  rename: FileSystem['rename'] = (from, to) => this.#onPath('rename', to, () => this.#base.rename(from, to))
  unlink: FileSystem['unlink'] = (path) => this.#onPath('unlink', path, () => this.#base.unlink(path))
  writeAsync: FileSystem['writeAsync'] = (...args) => this.#base.writeAsync(...args)
  datasyncAsync: FileSystem['datasyncAsync'] = (fd) => this.#base.datasyncAsync(fd)

  #before(name: Call, path: string): void {
    const call = { name, path }
    const code = this.#fails(call, this.calls.length)
    this.calls.push(call)
    if (code !== null) throw systemError(code, `made to fail: ${name} ${path}`)
  }

  #onFd<T>(name: Call, fd: number, call: () => T): T {
    return this.#onPath(name, this.#pathOf(fd), call)
  }

  #onPath<T>(name: Call, path: string, call: () => T): T {
    this.#before(name, path)
    return call()
  }

  #pathOf(fd: number): string {
    const path = this.opened.get(fd)
    if (path === undefined) throw new Error(`file descriptor ${fd} is not open`)
    return path
  }
}

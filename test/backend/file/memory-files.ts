import { systemError, type FileSystem } from '../../../src/backend/file/file-system.js'

/** Files in memory, as far as the journal and the checkpoint use them. Chosen calls fail. */
export class MemoryFiles implements FileSystem {
  readonly files = new Map<string, Buffer>()
  /** Paths of what is open, by descriptor. */
  readonly opened = new Map<number, string>()
  readonly calls: string[] = []
  /** The code that a call fails with. */
  fails: (call: string, path: string) => string | null = () => null
  /** Waited for before a call on the journal's thread ends. */
  delay: (call: string) => Promise<void> = () => Promise.resolve()
  #nextFd = 3

  make(path: string, bytes: number): void {
    this.files.set(path, Buffer.alloc(bytes))
  }

  open = (path: string): number => {
    this.#called('open', path)
    if (!this.files.has(path)) throw systemError('ENOENT', path)
    const fd = this.#nextFd++
    this.opened.set(fd, path)
    return fd
  }

  close = (fd: number): void => {
    const path = this.#pathOf(fd)
    this.opened.delete(fd)
    this.#called('close', path)
  }

  read: FileSystem['read'] = (fd, buffer, offset, length, position) => {
    const file = this.#called('read', this.#pathOf(fd))
    return file.copy(buffer, offset, position, position + length)
  }

  write: FileSystem['write'] = (fd, buffer, offset, length, position) => {
    const file = this.#called('write', this.#pathOf(fd))
    if (position + length > file.length) throw systemError('ENOSPC', 'the file may not grow')
    file.set(buffer.subarray(offset, offset + length), position)
    return length
  }

  writeAsync: FileSystem['writeAsync'] = async (...args) => {
    await this.delay('write')
    return this.write(...args)
  }

  datasyncAsync: FileSystem['datasyncAsync'] = async (fd) => {
    await this.delay('datasync')
    this.#called('datasync', this.#pathOf(fd))
  }

  sync = (fd: number): void => void this.#called('sync', this.#pathOf(fd))
  datasync = (fd: number): void => void this.#called('datasync', this.#pathOf(fd))
  stat: FileSystem['stat'] = (fd) => this.#stat(this.#pathOf(fd))
  lstat: FileSystem['lstat'] = (path) => (this.files.has(path) ? this.#stat(path) : null)
  unlink = (path: string): void => void this.files.delete(path)
  list: FileSystem['list'] = (path) =>
    [...this.files.keys()]
      .filter((file) => file.startsWith(`${path}/`))
      .map((file) => ({ name: file.slice(path.length + 1), kind: 'file' }))

  truncate = unused
  setTimes = unused
  realPath = (path: string): string => path
  makeDirectory = unused
  removeDirectory = unused
  rename = unused

  #stat(path: string): ReturnType<FileSystem['stat']> {
    const { length: size } = this.#called('stat', path)
    return { kind: 'file', size, mtimeMs: 0, dev: 1, ino: 1, mode: 0o600, uid: 0, links: 1 }
  }

  #called(call: string, path: string): Buffer {
    this.calls.push(`${call} ${path}`)
    const code = this.fails(call, path)
    if (code !== null) throw systemError(code, `made to fail: ${call} ${path}`)
    return this.files.get(path) ?? Buffer.alloc(0)
  }

  #pathOf(fd: number): string {
    const path = this.opened.get(fd)
    if (path === undefined) throw systemError('EBADF', `file descriptor ${fd} is not open`)
    return path
  }
}

function unused(): never {
  throw new Error('not a call of the journal')
}

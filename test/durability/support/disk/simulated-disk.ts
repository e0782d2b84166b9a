/**
 * SimulatedDisk owns a disk in memory and what is open on it. It answers as a real file system does, and keeps a record of
 * every change, so that afterwards the power can be cut between any two of them.
 *
 * The asynchronous calls answer in simulated time. A write is visible, and may reach the disk, from the moment of the
 * call; a sync counts when it is answered, for what was written before it was asked for.
 */
import {
  systemError,
  type DirectoryEntry,
  type FileStat,
  type FileSystem,
  type OpenFlag,
} from '../../../../src/backend/file/file-system.js'
import type { Simulation } from '../simulation.js'
import { copyBytes } from './content.js'
import { ROOT_INODE, type DiskOp, type DiskState, type InodeId } from './disk-state.js'
import type { Recording } from './recording.js'

interface Place {
  readonly directory: InodeId
  readonly name: string
  /** Null: nothing is there. */
  readonly inode: InodeId | null
}

export class SimulatedDisk implements FileSystem {
  readonly recording: Recording
  readonly #state: DiskState
  readonly #simulation: Simulation
  readonly #open = new Map<number, InodeId>()
  readonly #paths = new Map<number, string>()
  /** The task that is running, if one is. */
  task: number | null = null
  /** What asynchronous syncs wait for, besides their usual time. */
  syncsHeldUntil: Promise<void> = Promise.resolve()
  #nextFd = 3

  constructor(recording: Recording, simulation: Simulation) {
    this.recording = recording
    this.#state = recording.initial.copy()
    this.#simulation = simulation
  }

  get openCount(): number {
    return this.#open.size
  }

  get state(): DiskState {
    return this.#state
  }

  open = (path: string, how: OpenFlag, _mode?: number): number => {
    const place = this.#find(path)
    if (place.inode === null && how !== 'create-exclusive' && how !== 'read-write-create') {
      throw systemError('ENOENT', `open ${path}`)
    }
    if (place.inode !== null && how === 'create-exclusive') throw systemError('EEXIST', `open ${path}`)
    const inode = place.inode ?? this.#create(place, path)
    const isDirectory = this.#state.isDirectory(inode)
    if (isDirectory && how.startsWith('read-write')) throw systemError('EISDIR', `open ${path}`)
    if (!isDirectory && how === 'directory') throw systemError('ENOTDIR', `open ${path}`)
    const fd = this.#nextFd++
    this.#open.set(fd, inode)
    this.#paths.set(fd, path)
    return fd
  }

  close = (fd: number): void => {
    this.#inode(fd)
    this.#open.delete(fd)
    this.#paths.delete(fd)
  }

  read = (fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number => {
    const inode = this.#inode(fd)
    if (this.#state.isDirectory(inode)) throw systemError('EISDIR', 'read')
    return this.#state.file(inode).content.read(buffer.subarray(offset, offset + length), position)
  }

  write = (fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number => {
    const bytes = copyBytes(buffer.subarray(offset, offset + length))
    this.#apply({ kind: 'write', inode: this.#inode(fd), position, bytes }, this.#path(fd))
    return length
  }

  sync = (fd: number): void => {
    this.#apply({ kind: 'sync', inode: this.#inode(fd), dataOnly: false }, this.#path(fd))
  }

  datasync = (fd: number): void => {
    this.#apply({ kind: 'sync', inode: this.#inode(fd), dataOnly: true }, this.#path(fd))
  }

  /** As when the device reports an error: what was written since the last sync stays visible and uncertain for ever. */
  failSync(fd: number): void {
    this.#apply({ kind: 'failSync', inode: this.#inode(fd) }, this.#path(fd))
  }

  truncate = (fd: number, size: number): void => {
    this.#apply({ kind: 'resize', inode: this.#inode(fd), size }, this.#path(fd))
  }

  setTimes = (fd: number, atMs: number): void => {
    this.#apply({ kind: 'setTime', inode: this.#inode(fd), mtimeMs: atMs }, this.#path(fd))
  }

  stat = (fd: number): FileStat => this.#stat(this.#inode(fd))

  lstat = (path: string): FileStat | null => {
    const inode = this.#lookUp(path)
    return inode === null ? null : this.#stat(inode)
  }

  realPath = (path: string): string => {
    if (this.#lookUp(path) === null) throw systemError('ENOENT', `realpath ${path}`)
    return path
  }

  makeDirectory = (path: string, _mode: number): void => {
    const place = this.#find(path)
    if (place.inode !== null) throw systemError('EEXIST', `mkdir ${path}`)
    const inode = this.#state.newInode()
    this.#apply({ kind: 'makeDirectory', in: place.directory, name: place.name, inode }, path)
  }

  removeDirectory = (path: string): void => {
    const { directory, name, inode } = this.#existing(path)
    if (!this.#state.isDirectory(inode)) throw systemError('ENOTDIR', `rmdir ${path}`)
    if (this.#state.entries(inode).size > 0) throw systemError('ENOTEMPTY', `rmdir ${path}`)
    this.#apply({ kind: 'remove', in: directory, name }, path)
  }

  list = (path: string): DirectoryEntry[] => {
    const { inode } = this.#existing(path)
    if (!this.#state.isDirectory(inode)) throw systemError('ENOTDIR', `scandir ${path}`)
    return [...this.#state.entries(inode)].map(([name, child]) => ({ name, kind: this.#kind(child) }))
  }

  rename = (from: string, to: string): void => {
    const source = this.#existing(from)
    const target = this.#find(to)
    if (target.inode !== null && this.#state.isDirectory(target.inode)) {
      throw systemError('EISDIR', `rename ${from} to ${to}`)
    }
    const { directory, name } = source
    this.#apply({ kind: 'rename', in: directory, name, toIn: target.directory, toName: target.name }, to)
  }

  unlink = (path: string): void => {
    const { directory, name, inode } = this.#existing(path)
    if (this.#state.isDirectory(inode)) throw systemError('EISDIR', `unlink ${path}`)
    this.#apply({ kind: 'remove', in: directory, name }, path)
  }

  writeAsync = async (
    fd: number,
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<number> => {
    const bytes = copyBytes(buffer.subarray(offset, offset + length))
    const written = this.write(fd, buffer, offset, length, position)
    await this.#simulation.later(() => {
      this.#inode(fd)
      if (bytes.compare(buffer.subarray(offset, offset + length)) !== 0) {
        throw new Error('the bytes of a write were changed while it was under way')
      }
    })
    return written
  }

  datasyncAsync = async (fd: number): Promise<void> => {
    const inode = this.#inode(fd)
    const path = this.#path(fd)
    const covers = this.#state.uncertain(inode)
    await this.syncsHeldUntil
    await this.#simulation.later(() => {
      this.#apply({ kind: 'sync', inode: this.#inode(fd), dataOnly: true, covers }, path)
    })
  }

  #apply(op: DiskOp, path: string): void {
    this.#state.apply(op)
    this.recording.add({ op, path, task: this.task })
  }

  #path(fd: number): string {
    return this.#paths.get(fd) ?? ''
  }

  #create({ directory, name }: Place, path: string): InodeId {
    const inode = this.#state.newInode()
    this.#apply({ kind: 'create', in: directory, name, inode }, path)
    return inode
  }

  #inode(fd: number): InodeId {
    const inode = this.#open.get(fd)
    if (inode === undefined) throw systemError('EBADF', `file descriptor ${fd} is not open`)
    return inode
  }

  #existing(path: string): Place & { readonly inode: InodeId } {
    const place = this.#find(path)
    if (place.inode === null) throw systemError('ENOENT', path)
    return { ...place, inode: place.inode }
  }

  /** The directory of a path must be there. */
  #find(path: string): Place {
    const slash = path.lastIndexOf('/')
    const name = path.slice(slash + 1)
    const directory = this.#lookUp(path.slice(0, slash), true)
    if (directory === null) throw systemError('ENOENT', path)
    if (name === '') return { directory, name, inode: directory }
    return { directory, name, inode: this.#state.entries(directory).get(name) ?? null }
  }

  /** Null: nothing is there, or something on the way is no directory. */
  #lookUp(path: string, mustBeDirectory = false): InodeId | null {
    let inode = ROOT_INODE
    for (const name of path.split('/')) {
      if (name === '') continue
      if (!this.#state.isDirectory(inode)) {
        if (mustBeDirectory) throw systemError('ENOTDIR', path)
        return null
      }
      const next = this.#state.entries(inode).get(name)
      if (next === undefined) return null
      inode = next
    }
    if (mustBeDirectory && !this.#state.isDirectory(inode)) throw systemError('ENOTDIR', path)
    return inode
  }

  #kind(inode: InodeId): 'file' | 'directory' {
    return this.#state.isDirectory(inode) ? 'directory' : 'file'
  }

  #stat(inode: InodeId): FileStat {
    const kind = this.#kind(inode)
    const { size, mtimeMs } =
      kind === 'file'
        ? { size: this.#state.file(inode).content.size, mtimeMs: this.#state.file(inode).mtimeMs }
        : { size: 0, mtimeMs: 0 }
    return { kind, size, mtimeMs, dev: 1, ino: inode, mode: 0o700, uid: 0, links: 1 }
  }
}

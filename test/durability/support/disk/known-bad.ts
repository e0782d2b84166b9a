/**
 * Ways to lose data that programs have been caught at, put between the store and the disk: each leaves out, or does too
 * late, what one of the store's promises rests on. A model of a disk that does not notice them proves nothing.
 */
import type { FileSystem } from '../../../../src/backend/file/file-system.js'
import { parentOf } from '../../../../src/backend/file/layout.js'
import { STORE_DIRECTORY } from '../../../../src/names.js'
import type { SimulatedDisk } from './simulated-disk.js'

type Protocol = (disk: SimulatedDisk) => FileSystem

/** The disk, with some of its calls replaced. */
function replaceCalls(disk: SimulatedDisk, calls: Partial<FileSystem>): FileSystem {
  // Its calls are bound to it, so they can be taken out of it.
  return Object.assign(Object.create(null) as FileSystem, disk, calls)
}

const isDirectory = (disk: SimulatedDisk, fd: number): boolean => disk.stat(fd).kind === 'directory'

export const noSyncAtAll: Protocol = (disk) =>
  replaceCalls(disk, { sync: () => {}, datasync: () => {}, datasyncAsync: async () => {} })

export const noSyncOfTheJournal: Protocol = (disk) => replaceCalls(disk, { datasyncAsync: async () => {} })

/** The journal is synced, but its frames are acknowledged before. */
export const acknowledgementBeforeSync: Protocol = (disk) =>
  replaceCalls(disk, {
    async datasyncAsync(fd) {
      void disk.datasyncAsync(fd)
    },
  })

export const noSyncOfDirectories: Protocol = (disk) =>
  replaceCalls(disk, {
    sync(fd) {
      if (!isDirectory(disk, fd)) disk.sync(fd)
    },
  })

/** What goes into the tree gets its path first, and its content is synced then. */
export const renameBeforeSync: Protocol = (disk) => {
  const paths = new Map<number, string>()
  const unsynced = new Set<string>()
  return replaceCalls(disk, {
    open(path, how, mode) {
      const fd = disk.open(path, how, mode)
      paths.set(fd, path)
      return fd
    },
    sync(fd) {
      const path = paths.get(fd) ?? ''
      if (isDirectory(disk, fd) || !path.includes('/tmp/')) disk.sync(fd)
      else unsynced.add(path)
    },
    rename(from, to) {
      const isOfTheTree = !to.includes(`/${STORE_DIRECTORY}/`)
      if (!isOfTheTree) syncPath(disk, from)
      disk.rename(from, to)
      if (isOfTheTree && unsynced.delete(from)) syncPath(disk, to)
    },
  })
}

function syncPath(disk: SimulatedDisk, path: string): void {
  const fd = disk.open(path, 'read')
  disk.sync(fd)
  disk.close(fd)
}

/** Only the directory that a file lies in is synced, not those above, in which it was newly made itself. */
export const parentsNotSynced: Protocol = (disk) => {
  const paths = new Map<number, string>()
  const holdsNewFiles = new Set<string>()
  return replaceCalls(disk, {
    open(path, how, mode) {
      const fd = disk.open(path, how, mode)
      paths.set(fd, path)
      if (how === 'create-exclusive' || how === 'read-write-create') holdsNewFiles.add(parentOf(path))
      return fd
    },
    rename(from, to) {
      disk.rename(from, to)
      holdsNewFiles.add(parentOf(to))
    },
    sync(fd) {
      if (!isDirectory(disk, fd) || holdsNewFiles.delete(paths.get(fd) ?? '')) disk.sync(fd)
    },
  })
}

/** What was unlinked comes back. */
export const noSyncOfUnlinks: Protocol = (disk) => {
  const paths = new Map<number, string>()
  const unlinkedIn = new Set<string>()
  return replaceCalls(disk, {
    open(path, how, mode) {
      const fd = disk.open(path, how, mode)
      paths.set(fd, path)
      return fd
    },
    unlink(path) {
      disk.unlink(path)
      unlinkedIn.add(parentOf(path))
    },
    sync(fd) {
      if (!unlinkedIn.delete(paths.get(fd) ?? '')) disk.sync(fd)
    },
  })
}

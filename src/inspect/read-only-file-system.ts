import { nodeFileSystem, systemError, type FileSystem } from '../backend/file/file-system.js'

function refuse(): never {
  throw systemError('EROFS', 'an inspection changes nothing')
}

/** The disk for those who only look: whatever would change it fails. */
export const readOnlyFileSystem: FileSystem = {
  ...nodeFileSystem,
  open: (path, how) => (how === 'read' || how === 'directory' ? nodeFileSystem.open(path, how) : refuse()),
  write: refuse,
  sync: refuse,
  datasync: refuse,
  truncate: refuse,
  setTimes: refuse,
  makeDirectory: refuse,
  removeDirectory: refuse,
  rename: refuse,
  unlink: refuse,
  writeAsync: () => Promise.reject(systemError('EROFS', 'an inspection changes nothing')),
  datasyncAsync: () => Promise.reject(systemError('EROFS', 'an inspection changes nothing')),
}

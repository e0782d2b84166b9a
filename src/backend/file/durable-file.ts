import { syncDirectory, writeFully, type FileSystem } from './file-system.js'
import { parentOf } from './layout.js'

/**
 * Puts a file of the store's own in place, whole and durable when it returns (I5). It is made in the folder `tmp`
 * beside it under its own name: only the owner of the root does this, so a file found there is what a crash left.
 */
export function writeDurableFile(fs: FileSystem, path: string, bytes: Uint8Array, fileMode: number): void {
  const directory = parentOf(path)
  const temp = `${directory}/tmp${path.slice(directory.length)}`
  if (fs.lstat(temp) !== null) fs.unlink(temp)
  const fd = fs.open(temp, 'create-exclusive', fileMode)
  try {
    writeFully(fs, fd, bytes, 0)
    fs.sync(fd)
  } finally {
    fs.close(fd)
  }
  fs.rename(temp, path)
  syncDirectory(fs, directory)
}

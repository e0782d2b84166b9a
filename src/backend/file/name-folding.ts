import type { FileSystem } from './file-system.js'

/** Null if the file system keeps all names apart. `directory` is one for temp files; the probes are removed. */
export function probeNameFolding(
  _fs: FileSystem,
  _directory: string,
  _fileMode: number,
): ((name: string) => string) | null {
  throw new Error('not written yet')
}

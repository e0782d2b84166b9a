/**
 * Finds out which names the file system takes for one. The functions may give the same result for two names that it
 * does keep apart (its own tables are older or narrower than JavaScript's): then a key is refused that could have been
 * stored. The other way round two keys would share one file.
 */
import { randomUUID } from 'node:crypto'
import { stateError } from '../../errors.js'
import type { FileSystem } from './file-system.js'

/**
 * Null if the file system keeps all names apart. `directory` is one for temp files; the probes are removed. Fails where
 * names are not stored as they are given: keys would come back under other names.
 */
export function probeNameFolding(
  fs: FileSystem,
  directory: string,
  fileMode: number,
): ((name: string) => string) | null {
  const id = randomUUID()
  for (const name of [`${id}-aA`, `${id}-\u00e9`, `${id}-e\u0301`])
    checkStoredName(fs, directory, name, fileMode)
  const ignoresCase = isSameName(fs, directory, `${id}-a`, `${id}-A`, fileMode)
  // The same letter in one code point and in two. Some file systems store the one, some the other, some compare both.
  const normalizes =
    isSameName(fs, directory, `${id}-\u00e9`, `${id}-e\u0301`, fileMode) ||
    isSameName(fs, directory, `${id}-e\u0301`, `${id}-\u00e9`, fileMode)
  if (ignoresCase && normalizes) return (name) => foldCase(foldForm(name))
  if (ignoresCase) return foldCase
  return normalizes ? foldForm : null
}

function checkStoredName(fs: FileSystem, directory: string, name: string, fileMode: number): void {
  const path = `${directory}/${name}`
  fs.close(fs.open(path, 'create-exclusive', fileMode))
  try {
    if (fs.list(directory).some((entry) => entry.name === name)) return
  } finally {
    fs.unlink(path)
  }
  const message =
    `The file system of ${directory} changes the names that files are given (to another Unicode form, or case); keys would come ` +
    `back under other names. Use a root on a file system that keeps them.`
  throw stateError('ROOT_UNUSABLE', message, { path: directory })
}

function isSameName(
  fs: FileSystem,
  directory: string,
  made: string,
  other: string,
  fileMode: number,
): boolean {
  const path = `${directory}/${made}`
  fs.close(fs.open(path, 'create-exclusive', fileMode))
  try {
    return fs.lstat(`${directory}/${other}`) !== null
  } finally {
    fs.unlink(path)
  }
}

/**
 * Some letters only meet in upper case (`ß` and `SS`, `ſ` and `s`), some only after their lower case (`ẞ` and `ß`);
 * and the lower case of a sigma depends on where it stands, the upper case of nothing does.
 */
function foldCase(name: string): string {
  return name.toLowerCase().toUpperCase()
}

/** File systems that normalize also pass over characters that are not shown. */
function foldForm(name: string): string {
  return name.normalize('NFD').replace(/\p{Default_Ignorable_Code_Point}/gu, '')
}

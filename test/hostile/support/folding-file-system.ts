/**
 * The real file system as it would be on a disk that takes several names for one: it ignores case, or compares names in one
 * Unicode form. What is stored keeps the spelling that it was first given, as on APFS and NTFS.
 */
import { readdirSync } from 'node:fs'
import type { FileSystem } from '../../../src/backend/file/file-system.js'
import { unsyncedFileSystem } from '../../backend/file/faulty-file-system.js'

export interface Folding {
  readonly name: string
  /** Names with the same result are one. */
  fold(name: string): string
  /** How a new name is stored. */
  store(name: string): string
  /** A file that is renamed over another one gets its own name, not that of the other. */
  readonly renameGivesName: boolean
  /** Two spellings of one name. */
  readonly spellings: readonly [string, string]
}

const ignoreCase = (name: string): string => name.toLowerCase().toUpperCase()
const decompose = (name: string): string => name.normalize('NFD')
const asItIs = (name: string): string => name

const CASES = ['Plan', 'plan'] as const
const FORMS = ['caf\u00e9', 'cafe\u0301'] as const

export const FOLDINGS: readonly Folding[] = [
  { name: 'ignores case', fold: ignoreCase, store: asItIs, renameGivesName: false, spellings: CASES },
  {
    name: 'ignores case, and renames over other spellings',
    fold: ignoreCase,
    store: asItIs,
    renameGivesName: true,
    spellings: CASES,
  },
  { name: 'normalizes', fold: decompose, store: asItIs, renameGivesName: false, spellings: FORMS },
  {
    name: 'ignores case and normalizes',
    fold: (name) => ignoreCase(decompose(name)),
    store: asItIs,
    renameGivesName: true,
    spellings: ['Caf\u00e9', 'cAFe\u0301'],
  },
]

/** As HFS+: what is listed is not what was written. */
export const DECOMPOSING: Folding = {
  name: 'stores names in another form',
  fold: (name) => ignoreCase(decompose(name)),
  store: decompose,
  renameGivesName: false,
  spellings: FORMS,
}

/** Below `root` only. */
export function foldingFileSystem(root: string, { fold, store, renameGivesName }: Folding): FileSystem {
  const fs = unsyncedFileSystem

  function resolve(path: string): string {
    if (!path.startsWith(`${root}/`)) return path
    let resolved = root
    for (const name of path.slice(root.length + 1).split('/')) resolved += `/${spelling(resolved, name)}`
    return resolved
  }

  function spelling(directory: string, name: string): string {
    const names = namesIn(directory)
    if (names.includes(name)) return name
    const folded = fold(name)
    return names.find((other) => fold(other) === folded) ?? store(name)
  }

  return {
    ...fs,
    open: (path, how, mode) => fs.open(resolve(path), how, mode),
    lstat: (path) => fs.lstat(resolve(path)),
    realPath: (path) => fs.realPath(path),
    makeDirectory: (path, mode) => fs.makeDirectory(resolve(path), mode),
    removeDirectory: (path) => fs.removeDirectory(resolve(path)),
    list: (path) => fs.list(resolve(path)),
    unlink: (path) => fs.unlink(resolve(path)),
    rename(from, to) {
      const target = resolve(to)
      fs.rename(resolve(from), target)
      const name = store(to.slice(to.lastIndexOf('/') + 1))
      if (renameGivesName) fs.rename(target, `${target.slice(0, target.lastIndexOf('/'))}/${name}`)
    },
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

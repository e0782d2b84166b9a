/**
 * Finding or making a root directory, and what of our own lies in it. Everything is durable when the format is prepared; whoever
 * is refused by the lock before that has synced nothing but what it made, as it may come back many times.
 */
import { dirname, resolve } from 'node:path'
import type { FileModes } from '../../api.js'
import { AgentStateError, stateError } from '../../errors.js'
import { createCheckpoint, readCheckpoint } from './checkpoint.js'
import { writeDurableFile } from './durable-file.js'
import { errorCode, syncDirectory, type FileSystem } from './file-system.js'
import { createFormat, readFormat } from './format.js'
import { FIRST_PREVIOUS_CRC } from './frame.js'
import { parentOf, storeLayout, type StoreLayout } from './layout.js'
import { listSegments } from './segment.js'

/** What is left of the usual 4,096 bytes of a path for the longest metadata path. */
const ROOT_BYTES_MAX = 2700

export interface PreparedRoot {
  /** Absolute, without symlinks. */
  readonly root: string
  readonly layout: StoreLayout
}

/** Makes the root and the directory of the store in it, as far as they are missing. */
export function prepareRoot(fs: FileSystem, path: string, modes: FileModes): PreparedRoot {
  const wanted = resolve(path)
  try {
    checkLength(wanted)
    makeDirectories(fs, wanted, modes.directory)
    const root = fs.realPath(wanted)
    checkLength(root)
    const layout = storeLayout(root)
    makeDirectory(fs, layout.directory, modes.directory)
    return { root, layout }
  } catch (error) {
    throw unusable(wanted, error)
  }
}

/** Under the lock: reads what the store's files say, or makes them for a new root. Returns the store's id. */
export function prepareFormat(
  fs: FileSystem,
  { root, layout }: PreparedRoot,
  modes: FileModes,
  newStoreId: () => string,
): string {
  try {
    syncAbove(fs, root)
    syncDirectory(fs, root)
    const format = readFormat(fs, layout.format)
    if (format !== null) {
      readCheckpoint(fs, layout.checkpoint, format.storeId)
      // What is found may have been put there by a process that was killed before it could sync.
      syncDirectory(fs, layout.directory)
      return format.storeId
    }
    return createStore(fs, layout, modes, newStoreId())
  } catch (error) {
    throw unusable(root, error)
  }
}

/** Makes those of the store's directories that are missing. Damage must be out of the question: it changes the root. */
export function prepareStoreDirectories(
  fs: FileSystem,
  { root, layout }: PreparedRoot,
  modes: FileModes,
): void {
  try {
    makeStoreDirectories(fs, layout, modes)
  } catch (error) {
    throw unusable(root, error)
  }
}

function makeStoreDirectories(fs: FileSystem, layout: StoreLayout, modes: FileModes): void {
  for (const directory of [layout.journal, layout.tmp, layout.preserved]) {
    makeDirectory(fs, directory, modes.directory)
  }
}

/** The format file comes last: without it nothing was ever written. */
function createStore(fs: FileSystem, layout: StoreLayout, modes: FileModes, storeId: string): string {
  if (listSegments(fs, layout.journal).length > 0) {
    throw stateError(
      'METADATA_CORRUPT',
      `there is a journal, but its format file is missing: ${layout.format}`,
      {
        path: layout.format,
      },
    )
  }
  makeStoreDirectories(fs, layout, modes)
  createIgnoreFile(fs, layout.gitignore, modes.file)
  const position = { segment: 1, offset: 0, sequence: 1, previousCrc: FIRST_PREVIOUS_CRC }
  const state = { clean: true, ceiling: 0, epoch: 0, position, reached: position.sequence }
  createCheckpoint(fs, layout.checkpoint, storeId, state, modes.file)
  createFormat(fs, layout.format, storeId, modes.file)
  return storeId
}

/** So that the store's own files never get into a repository that the state is kept in. */
function createIgnoreFile(fs: FileSystem, path: string, mode: number): void {
  if (fs.lstat(path) === null) writeDurableFile(fs, path, Buffer.from('*\n'), mode)
}

function checkLength(path: string): void {
  if (Buffer.byteLength(path) <= ROOT_BYTES_MAX) return
  throw stateError('ROOT_UNUSABLE', `the path of the root has more than ${ROOT_BYTES_MAX} bytes`, { path })
}

function makeDirectories(fs: FileSystem, path: string, mode: number): void {
  const stat = fs.lstat(path)
  if (stat?.kind === 'directory' || stat?.kind === 'symlink') return
  if (stat !== null) {
    throw stateError('ROOT_UNUSABLE', `the root is not a directory: ${path}`, { path })
  }
  const parent = dirname(path)
  if (parent !== path) makeDirectories(fs, parent, mode)
  makeDirectory(fs, path, mode)
}

function makeDirectory(fs: FileSystem, path: string, mode: number): void {
  const stat = fs.lstat(path)
  if (stat?.kind === 'directory') return
  if (stat !== null) throw stateError('ROOT_UNUSABLE', `not a directory, and in the way: ${path}`, { path })
  try {
    fs.makeDirectory(path, mode)
  } catch (error) {
    // Another process that opens the same new root may have been faster; the lock comes later.
    if (fs.lstat(path)?.kind !== 'directory') throw error
  }
  syncDirectory(fs, parentOf(path) || '/')
}

/** Of a directory that others made: it may not be ours to read, or may lie where nothing is ever synced. */
const NOT_OURS: ReadonlySet<string> = new Set(['EACCES', 'EPERM', 'EROFS', 'EINVAL', 'ENOTSUP'])

/**
 * Makes the way to the root durable. Directories that were there may have been made a moment ago, by a process that was
 * killed before it could sync them; syncing old ones costs next to nothing.
 */
function syncAbove(fs: FileSystem, root: string): void {
  for (let path = root; path !== dirname(path);) {
    path = dirname(path)
    try {
      syncDirectory(fs, path)
    } catch (error) {
      if (!NOT_OURS.has(errorCode(error))) throw error
    }
  }
}

/** The disk is full, or the owner's part of it. */
const FULL: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT'])

/** As an error of the store's own. */
export function unusable(path: string, error: unknown): unknown {
  if (AgentStateError.is(error)) return error
  const reason = error instanceof Error ? error.message : String(error)
  return stateError('ROOT_UNUSABLE', `the root can't be used: ${reason}`, { path, cause: error })
}

/** What keeps a root without a segment to write to, by the system's code. */
export function noJournal(path: string, code: string): AgentStateError {
  const message = `the root can't be given a journal to write to (${code})`
  return FULL.has(code)
    ? stateError('NO_SPACE', message, { cause: code })
    : stateError('ROOT_UNUSABLE', message, { path, cause: code })
}

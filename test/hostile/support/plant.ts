/** What somebody may put in the place of a file or directory, and a place outside of the root that nothing may touch. */
import { spawnSync } from 'node:child_process'
import {
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'

export type PlantedKind = (typeof PLANTED)[number]

export const PLANTED = [
  'symlink to a file',
  'symlink to a directory',
  'dangling symlink',
  'symlink to itself',
  'fifo',
  'socket',
  'device',
  'file',
  'empty directory',
  'directory with files',
  'hard link',
] as const

const TEXT = 'not the store’s\n'
/** The size of a segment, so that it could be taken for one. */
const SEGMENT_BYTES = 16 * 1024 * 1024

/** Makes what the others lead to; returns the directory. */
export function makeOutside(above: string): string {
  const outside = `${above}/outside`
  mkdirSync(`${outside}/directory/d`, { recursive: true })
  // Names that the store looks for, so that it would find them behind a symlink.
  const names = ['a', 'x', 'd/x', 'a.json', 'format', 'checkpoint', '0000000000000001', '0000000000000002']
  for (const name of names) writeFileSync(`${outside}/directory/${name}`, TEXT)
  writeFileSync(`${outside}/file`, TEXT)
  writeFileSync(`${outside}/linked`, TEXT)
  truncateSync(`${outside}/linked`, SEGMENT_BYTES)
  return outside
}

/** Replaces whatever is at the path. False: that can't be made here. */
export function plant(kind: PlantedKind, path: string, outside: string): boolean {
  rmSync(path, { recursive: true, force: true })
  mkdirSync(dirname(path), { recursive: true })
  switch (kind) {
    case 'symlink to a file':
      symlinkSync(`${outside}/file`, path)
      return true
    case 'symlink to a directory':
      symlinkSync(`${outside}/directory`, path)
      return true
    case 'dangling symlink':
      symlinkSync(`${outside}/missing`, path)
      return true
    case 'symlink to itself':
      symlinkSync(path, path)
      return true
    case 'fifo':
      return succeeds('mkfifo', path)
    case 'socket':
      return succeeds(
        'perl',
        '-e',
        'use Socket; socket(S, AF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un($ARGV[0])) or die',
        path,
      )
    case 'device':
      return succeeds('mknod', path, 'c', '1', '3')
    case 'file':
      writeFileSync(path, TEXT)
      return true
    case 'empty directory':
      mkdirSync(path)
      return true
    case 'directory with files':
      mkdirSync(`${path}/in`, { recursive: true })
      writeFileSync(`${path}/in/it`, TEXT)
      return true
    case 'hard link':
      linkSync(`${outside}/linked`, path)
      return true
  }
}

function succeeds(command: string, ...args: readonly string[]): boolean {
  return spawnSync(command, args).status === 0
}

/** Everything in a directory. Whatever changes a content also changes its time. */
export function snapshot(directory: string): Record<string, string> {
  const found: Record<string, string> = {}
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort()) {
    const path = `${directory}/${name}`
    const { mode, size, mtimeMs } = lstatSync(path)
    found[name] = `${mode} ${size} ${mtimeMs} ${size < 1000 ? textOf(path) : ''}`
  }
  return found
}

function textOf(path: string): string {
  return lstatSync(path).isFile() ? readFileSync(path, 'utf8') : ''
}

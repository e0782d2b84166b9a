/**
 * Names for the system calls by which the file backend changes the disk: what is done, and to what. `rename content` is
 * one step of the protocol, `writeAsync segment` (an append to the journal) another.
 */
import type { FileSystem } from '../../../src/backend/file/file-system.js'
import { META_DIRECTORY, STORE_DIRECTORY } from '../../../src/names.js'

export const CHANGING_CALLS = [
  'open',
  'write',
  'writeAsync',
  'sync',
  'datasync',
  'datasyncAsync',
  'truncate',
  'setTimes',
  'makeDirectory',
  'removeDirectory',
  'rename',
  'unlink',
] as const satisfies readonly (keyof FileSystem)[]

export type ChangingCall = (typeof CHANGING_CALLS)[number]

export function placeOf(root: string, path: string): string {
  if (!path.startsWith(`${root}/`)) return 'root'
  const inner = path.slice(root.length + 1)
  if (inner.startsWith(`${STORE_DIRECTORY}/journal/`)) return 'segment'
  if (inner.startsWith(`${STORE_DIRECTORY}/tmp/`)) return 'temporary'
  if (inner.startsWith(`${STORE_DIRECTORY}/preserved/`)) return 'preserved'
  if (inner === STORE_DIRECTORY) return 'store directory'
  if (inner.startsWith(`${STORE_DIRECTORY}/`)) return inner.slice(STORE_DIRECTORY.length + 1)
  if (inner.split('/').includes(META_DIRECTORY)) return 'metadata'
  return inner.includes('/') ? 'content' : 'namespace'
}

/** Null: the call changes nothing on the disk. */
export function stepName(
  root: string,
  call: ChangingCall,
  path: string,
  args: readonly unknown[],
): string | null {
  if (call === 'open') {
    const how = args[1]
    return how === 'create-exclusive' || how === 'read-write-create' ? `create ${placeOf(root, path)}` : null
  }
  return `${call} ${placeOf(root, path)}`
}

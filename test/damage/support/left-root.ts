/**
 * Roots as a process leaves them that has ended, with what it had shown before: made once, and copied for every damage. A
 * copy of an open store's files is what a kill leaves, because what a process has written outlives it.
 */
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Store } from '../../../src/api.js'
import type { Backend } from '../../../src/backend/backend.js'
import type { FileBackendParts } from '../../../src/backend/file/file-backend.js'
import { openStore } from '../../../src/store.js'
import { unsyncedFileSystem } from '../../backend/file/faulty-file-system.js'
import { backendOn, inThreadRunner } from '../../durability/support/in-thread.js'
import { HeldRunner } from './held-runner.js'
import { QuietWatch } from './quiet-watch.js'
import { showStore, type Shown } from './shown.js'
import { temporaryDirectory } from './temporary-directory.js'

/** Killed a moment after its last write or right behind it, or closed, with `flush: false` or without. */
export type Ending = 'killed' | 'killed at once' | 'closed with a backlog' | 'closed'

export interface LeftRoot {
  /** What the store showed before it ended. */
  readonly shown: Shown
  /** A fresh copy of the files. */
  copy(): string
  /** Puts what lies at a path of a copy back as it was left. */
  repair(root: string, path: string): void
}

/** A backend on a root, without threads and without waiting for the disk. */
export function fastBackend(root: string, parts: Partial<FileBackendParts> = {}): Backend {
  const fs = parts.fs ?? unsyncedFileSystem
  return backendOn(root, { runner: () => inThreadRunner(fs), ...parts, fs })
}

/** Nothing of what `late` does gets into the tree. Goes away with the test. */
export async function leaveRoot(
  ending: Ending,
  early: (store: Store) => Promise<void>,
  late: (store: Store) => Promise<void> = async () => {},
): Promise<LeftRoot> {
  const directory = temporaryDirectory()
  const original = join(directory, 'original')
  const left = join(directory, 'left')
  const watch = new QuietWatch(unsyncedFileSystem)
  const runner = new HeldRunner(watch.fs)
  const backend = fastBackend(original, { fs: watch.fs, runner: () => runner })
  const store = await openStore({ backend })
  store.events.on('warning', () => {})
  await early(store)
  await store.flush()
  if (ending !== 'closed') runner.hold()
  await late(store)
  if (ending === 'killed at once') copyTree(original, left)
  const shown = await showStore(store)
  if (ending === 'killed') {
    await watch.untilQuiet()
    copyTree(original, left)
  }
  const closing = store.close({ flush: ending === 'closed' })
  if (ending !== 'closed') runner.refuse()
  await closing
  if (ending.startsWith('closed')) copyTree(original, left)
  rmSync(original, { recursive: true })
  return copiesOf(directory, left, shown)
}

function copiesOf(directory: string, left: string, shown: Shown): LeftRoot {
  let copies = 0
  return {
    shown,
    copy() {
      const copy = join(directory, `copy-${copies++}`)
      copyTree(left, copy)
      return copy
    },
    repair(root, path) {
      rmSync(join(root, path), { recursive: true, force: true })
      copyTree(join(left, path), join(root, path))
    },
  }
}

export function copyTree(from: string, to: string): void {
  cpSync(from, to, { recursive: true, preserveTimestamps: true })
}

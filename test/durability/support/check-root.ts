/** What has to hold of a root after a crash of any kind, checked by opening it with the real code. */
import { expect } from 'vitest'
import { crc32 } from 'node:zlib'
import type { BareTree } from './bare-tree.js'
import { checkNewRevisions, checkStore } from './check-store.js'
import { checkFiles, checkSettledTree, checkTreePromises, checkWholeFiles } from './check-tree.js'
import type { History } from './history.js'
import type { WatchedStore } from './in-thread.js'

export interface RootUnderTest {
  readTree(): BareTree
  open(): Promise<WatchedStore>
}

export interface CheckOptions {
  /** Default true. */
  readonly opensAgain?: boolean
  /** Recovery may keep copies of what it can't explain. Default false. */
  readonly mayPreserve?: boolean
}

/**
 * The files as the crash left them (I5), what a store shows that is opened on them (I1, I4), the files after it was closed
 * (I6), and that opening once more finds nothing to do. Afterwards the history says what was found.
 */
export async function checkAfterCrash(
  root: RootUnderTest,
  history: History,
  { opensAgain = true, mayPreserve = false }: CheckOptions = {},
): Promise<void> {
  const opened = await openChecked(root, history)
  await checkStore(opened.store, history)
  await checkNewRevisions(opened.store, history)
  await opened.store.close()
  history.closed()
  const complaints = opened.complaints.filter((text) => !mayPreserve || !text.includes('"preservedAs":".'))
  expect(complaints, 'recovery takes nothing for an edit by hand, and nothing gets stuck').toEqual([])
  // On a copy: what is found then must not be taken for what had to be there earlier.
  if (opensAgain) await checkCleanRoot(root, history.fork(), mayPreserve)
  else checkSettledTree(root.readTree(), history.state(), mayPreserve)
}

/**
 * Looks at the files as they lie (I5), then opens the root. If it was closed before, the files show everything, whatever
 * happened since, and there is nothing to recover.
 */
export async function openChecked(root: RootUnderTest, history: History): Promise<WatchedStore> {
  const tree = root.readTree()
  checkWholeFiles(tree, history)
  checkTreePromises(tree, history)
  const wasClosed = history.isClosed
  if (wasClosed) checkFiles(tree, history.state())
  history.opening()
  const opened = await root.open()
  if (wasClosed) expect(opened.recovered(), 'a clean end leaves nothing to recover').toBeNull()
  return opened
}

/** After a `close()`: the tree is what the history says, and opening it again changes nothing. */
export async function checkCleanRoot(
  root: RootUnderTest,
  history: History,
  mayPreserve = false,
): Promise<void> {
  const closed = root.readTree()
  checkSettledTree(closed, history.state(), mayPreserve)
  const again = await root.open()
  await checkStore(again.store, history)
  await again.store.close()
  expect(again.complaints).toEqual([])
  expect(again.recovered(), 'a clean end leaves nothing to recover').toBeNull()
  expect(summary(root.readTree()), 'I6: opening again changes nothing').toEqual(summary(closed))
}

/** Contents by checksum: comparing them byte by byte would take most of a test's time. */
function summary({ files, directories, own }: BareTree): object {
  const checksums = [...files].map(([path, content]) => `${path} ${content.length} ${crc32(content)}`)
  return { files: checksums.sort(), directories: [...directories].sort(), own: [...own].sort() }
}

/**
 * What the tree costs at least: the same two files a key (content, metadata) made by a bare program, in batches: all
 * temporary files of a batch written and synced, all renamed, the directories synced; and both read again, in batches too.
 * Blocking calls in threads.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Batches } from './batches.js'
import type { Contestant, Opened } from './contestant.js'
import { pack, unpack, type Packed } from './packed.js'
import { Threads } from './threads.js'

/** The most of one batch. */
const WRITES = 128
const READS = 64

export interface BareKey {
  readonly folder: string
  readonly key: string
}

interface WrittenKey extends BareKey {
  readonly value: Uint8Array
}

export type BareJob =
  | { readonly kind: 'write'; readonly keys: readonly BareKey[]; readonly values: Packed }
  | { readonly kind: 'read'; readonly keys: readonly BareKey[] }

export const METADATA_FOLDER = '.meta'

export const bareFiles: Contestant = {
  name: 'bare files',
  about:
    'a bare program that creates, syncs and renames the same two files a key, in batches of at most 128 in four threads, and reads both in batches of at most 64',
  open: (folder, { namespaces }) => open(folder, namespaces, 4),
}

export const bareFilesInOneThread: Contestant = {
  name: 'bare files in one thread',
  about:
    'the same in one thread, as this library reads: two batches are under way, so that it always has one to read',
  open: (folder, { namespaces }) => open(folder, namespaces, 1),
}

/** At the least. */
const BATCHES_UNDER_WAY = 2

async function open(folder: string, namespaces: number, threadCount: number): Promise<Opened> {
  const folderOf = (namespace: number): string => join(folder, `n${namespace}`)
  for (let i = 0; i < namespaces; i++) await mkdir(join(folderOf(i), METADATA_FOLDER), { recursive: true })
  const threads = new Threads(new URL('bare-files-thread.js', import.meta.url), threadCount)
  const run = (job: BareJob, transferred: readonly ArrayBuffer[] = []): Promise<unknown> =>
    threads.run(job, transferred)
  const writeTogether = async (files: readonly WrittenKey[]): Promise<void[]> => {
    const keys = files.map(({ folder, key }) => ({ folder, key }))
    const values = pack(files.map(({ value }) => value))
    await run({ kind: 'write', keys, values }, [values.bytes.buffer])
    return []
  }
  const underWay = Math.max(BATCHES_UNDER_WAY, threadCount)
  const writes = new Batches<WrittenKey, void>(WRITES, underWay, writeTogether)
  const reads = new Batches<BareKey, Uint8Array | null>(READS, underWay, async (keys) =>
    unpack((await run({ kind: 'read', keys })) as Packed),
  )
  return {
    write: (_, namespace, key, value) => writes.add({ folder: folderOf(namespace), key, value }),
    read: (namespace, key) => reads.add({ folder: folderOf(namespace), key }),
    drain: async () => {},
    close: () => threads.close(),
  }
}

/**
 * What the tree costs at least: the same two files a key (content, metadata) made by a bare program, in batches: all
 * temporary files of a batch written and synced, all renamed, the directories synced; blocking calls in threads.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Contestant } from './contestant.js'
import { Threads } from './threads.js'

const THREADS = 2
const BATCH = 128

export interface BareFile {
  readonly folder: string
  readonly key: string
  readonly value: Uint8Array
}

export type BareJob =
  | { readonly kind: 'write'; readonly files: readonly BareFile[] }
  | { readonly kind: 'read'; readonly folder: string; readonly key: string }

export const METADATA_FOLDER = '.meta'

interface Waiting {
  readonly file: BareFile
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

export const bareFiles: Contestant = {
  name: 'bare files',
  about:
    'a bare program that creates, syncs and renames the same two files a key, in batches of 128 in two threads',
  open: async (folder, { namespaces }) => {
    const folderOf = (namespace: number): string => join(folder, `n${namespace}`)
    for (let i = 0; i < namespaces; i++) await mkdir(join(folderOf(i), METADATA_FOLDER), { recursive: true })
    const threads = new Threads(new URL('bare-files-thread.js', import.meta.url), THREADS)
    let queue: Waiting[] = []
    let running = 0
    const pump = async (): Promise<void> => {
      running++
      while (queue.length > 0) {
        const batch = queue.slice(0, BATCH)
        queue = queue.slice(BATCH)
        const job: BareJob = { kind: 'write', files: batch.map(({ file }) => file) }
        try {
          await threads.run(job)
          for (const { resolve } of batch) resolve()
        } catch (error) {
          for (const { reject } of batch) reject(error)
        }
      }
      running--
    }
    return {
      write: (_, namespace, key, value) =>
        new Promise<void>((resolve, reject) => {
          // Cloned by the message; a view would bring all of its buffer along.
          queue.push({ file: { folder: folderOf(namespace), key, value: value.slice() }, resolve, reject })
          if (running < THREADS) setImmediate(() => running < THREADS && void pump())
        }),
      read: (namespace, key) =>
        threads.run({
          kind: 'read',
          folder: folderOf(namespace),
          key,
        } satisfies BareJob) as Promise<Uint8Array | null>,
      drain: async () => {},
      close: () => threads.close(),
    }
  },
}

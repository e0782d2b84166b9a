/**
 * The origin's protocol: content and metadata are each written to a temporary file, synced and renamed, and the directory
 * synced; four syncs a write, in each of four threads. The metadata is read first, for the previous writer.
 */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Contestant } from './contestant.js'
import { Threads } from './threads.js'

const THREADS = 4

export interface OriginWrite {
  readonly namespace: string
  readonly key: string
  readonly value: Uint8Array
  readonly writer: string
}

export const origin: Contestant = {
  name: 'origin',
  about: "the origin's protocol re-implemented: four fsyncs a write, blocking, in four threads",
  open: async (folder, { namespaces, callers }) => {
    for (let i = 0; i < namespaces; i++) {
      await mkdir(join(folder, `n${i}`, '.agent_state_meta'), { recursive: true })
    }
    const threads = new Threads(new URL('origin-thread.js', import.meta.url), Math.min(THREADS, callers))
    return {
      write: (caller, namespace, key, value) => {
        // A view would bring all of its buffer along.
        const copy = new Uint8Array(value)
        const job: OriginWrite = {
          namespace: join(folder, `n${namespace}`),
          key,
          value: copy,
          writer: `agent-${caller}`,
        }
        return threads.run(job, [copy.buffer])
      },
      read: (namespace, key) => readFile(join(folder, `n${namespace}`, key)).catch(() => null),
      drain: async () => {},
      close: () => threads.close(),
    }
  },
}

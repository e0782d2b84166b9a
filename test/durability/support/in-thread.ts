/** A store of the file backend without threads of its own, on any file system: what tests open to look at a root. */
import { v4 as uuidv4 } from 'uuid'
import type { Store } from '../../../src/api.js'
import type { Backend } from '../../../src/backend/backend.js'
import { fileBackend, type FileBackendParts } from '../../../src/backend/file/file-backend.js'
import { nodeFileSystem, type FileSystem } from '../../../src/backend/file/file-system.js'
import { acquireRootLock } from '../../../src/backend/file/root-lock.js'
import { runTask } from '../../../src/backend/file/run-task.js'
import { fromMessage, toMessage } from '../../../src/backend/file/task-message.js'
import type { TaskRunner } from '../../../src/backend/file/task-runner.js'
import type { Task } from '../../../src/backend/file/tasks.js'
import type { Limits } from '../../../src/limits.js'
import { checkOpenOptions } from '../../../src/open-options.js'
import { openStore } from '../../../src/store.js'

/** A task as another thread gets it. */
export function sent<T extends Task>(task: T): T {
  return fromMessage(structuredClone(toMessage(task))) as T
}

/** Tasks run in this thread, each in a turn of the event loop of its own; what crosses is copied, as between threads. */
export function inThreadRunner(fs: FileSystem): TaskRunner {
  return {
    async run(task) {
      await new Promise((resolve) => setImmediate(resolve))
      return structuredClone(runTask(fs, sent(task)))
    },
    close: async () => {},
  }
}

export function backendOn(root: string, parts: Partial<FileBackendParts> = {}, workerUrl?: URL): Backend {
  const { fs = nodeFileSystem } = parts
  const settings = checkOpenOptions({ root, workers: workerUrl === undefined ? 2 : 1, workerUrl })
  if (settings.kind !== 'file') throw new TypeError('a root gives a file backend')
  return fileBackend(settings, {
    fs,
    acquireLock: acquireRootLock,
    runner: () => inThreadRunner(fs),
    newStoreId: uuidv4,
    ...parts,
  })
}

/** An open store and what it said that nobody asked for. */
export interface WatchedStore {
  readonly store: Store
  /** Events that an undisturbed store has no reason for. */
  readonly complaints: readonly string[]
  /** Null: the end before was a clean one. */
  readonly recovered: () => { readonly operations: number; readonly preserved: number } | null
}

export async function openWatched(backend: Backend, limits: Partial<Limits> = {}): Promise<WatchedStore> {
  const store = await openStore({ backend, limits })
  const complaints: string[] = []
  let recovered: { readonly operations: number; readonly preserved: number } | null = null
  for (const type of ['external', 'warning', 'failed'] as const) {
    store.events.on(type, (event) => complaints.push(`${type}: ${describe(event)}`))
  }
  store.events.on('recovered', (event) => {
    recovered = event
  })
  return { store, complaints, recovered: () => recovered }
}

function describe(event: object): string {
  return 'error' in event ? String(event.error) : JSON.stringify(event)
}

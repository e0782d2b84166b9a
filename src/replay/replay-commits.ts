import type { Session, Store } from '../index.js'
import type { Agents } from './agents.js'
import type { Contents } from './contents.js'
import type { Tree } from './history-tree.js'
import { InFlight } from './in-flight.js'
import { namespaceFiles } from './namespace-files.js'
import type { Acknowledgement, Audit, Progress } from './messages.js'
import { NamespaceReplay, readProgress } from './namespace-replay.js'
import type { Outline } from './outline.js'
import { Schedule, type Batch } from './schedule.js'
import type { Commit } from './trace.js'

export interface Replay {
  readonly outline: Outline
  readonly commits: AsyncIterable<Commit>
  readonly contents: Contents
  readonly agents: Agents
  /** Commits that may be under way at once. */
  readonly inFlight: number
  /** How far earlier processes came. */
  readonly durable: readonly Progress[]
  readonly onAcknowledged: (acknowledgement: Acknowledgement) => void
  /** What an earlier process left in a namespace was compared with the history. */
  readonly onAudited?: ((audit: Audit) => void) | undefined
}

/** Contents of commits under way; a single commit may be larger. */
const BYTES_IN_FLIGHT_MAX = 32 * 1024 * 1024

/** Replays what is not durable yet. Resolves when every batch is. */
export async function replayCommits(store: Store, replay: Replay): Promise<void> {
  const { outline, contents, agents, onAcknowledged, onAudited } = replay
  const schedule = new Schedule(outline)
  const inFlight = new InFlight(replay.inFlight, BYTES_IN_FLIGHT_MAX)
  const namespaces = new Namespaces(store, agents, contents, replay.durable)
  const audit = async ({ namespace, commit }: Batch, state: Tree): Promise<void> => {
    const expected = namespaceFiles(state, namespace)
    const differences = await namespaces.get(namespace).audit(expected)
    onAudited?.({ namespace, commit, files: expected.size, differences })
  }
  const replayBatch = async (batch: Batch): Promise<void> => {
    onAcknowledged(await namespaces.get(batch.namespace).replay(batch))
  }
  try {
    for await (const commit of replay.commits) {
      const all = schedule.add(commit)
      for (const batch of all) {
        if (namespaces.get(batch.namespace).isLastDone(batch)) {
          await inFlight.start(0, () => audit(batch, schedule.state))
        }
      }
      const batches = all.filter((batch) => !namespaces.get(batch.namespace).isDone(batch))
      if (batches.length === 0) continue
      const bytes = batches.reduce((sum, batch) => sum + batch.bytes, 0)
      await inFlight.start(bytes, async () => {
        await Promise.all(batches.map(replayBatch))
      })
    }
  } finally {
    await inFlight.done()
  }
}

class Namespaces {
  readonly #store: Store
  readonly #agents: Agents
  readonly #contents: Contents
  readonly #durable: ReadonlyMap<string, Progress>
  readonly #opened = new Map<string, NamespaceReplay>()

  constructor(store: Store, agents: Agents, contents: Contents, durable: readonly Progress[]) {
    this.#store = store
    this.#agents = agents
    this.#contents = contents
    this.#durable = new Map(durable.map((progress) => [progress.namespace, progress]))
  }

  get(namespace: string): NamespaceReplay {
    const opened = this.#opened.get(namespace)
    if (opened !== undefined) return opened
    const durable = this.#durable.get(namespace) ?? null
    const made = new NamespaceReplay(this.#store.init(namespace), this.#agents, this.#contents, durable)
    this.#opened.set(namespace, made)
    return made
  }
}

/** How far the replay of every namespace has come, as the store knows it. */
export async function readAllProgress(store: Store): Promise<Progress[]> {
  const progress: Progress[] = []
  for await (const session of allSessions(store)) {
    const found = await readProgress(session)
    if (found !== null) progress.push(found)
  }
  return progress
}

async function* allSessions(store: Store): AsyncGenerator<Session> {
  for await (const namespace of store.namespaces()) yield await store.resume(namespace)
}

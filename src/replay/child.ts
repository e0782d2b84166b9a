/**
 * The process that replays, until it is killed. It tells the supervisor each batch that the store acknowledged, and
 * forgets everything else when it ends: the next one goes on from what the store has.
 */
import { openStore, type Store } from '../index.js'
import { localAgents } from './agents.js'
import { openContents } from './contents.js'
import { PROGRESS_KEY } from './location.js'
import type { Acknowledgement, FromChild, Job, ToChild } from './messages.js'
import { readOutline } from './outline.js'
import { readAllProgress, replayCommits } from './replay-commits.js'
import { ThreadAgents } from './thread-agents.js'
import { readTrace } from './trace.js'

function main(): void {
  let allowFinish = (): void => {}
  const mayFinish = new Promise<void>((resolve) => (allowFinish = resolve))
  process.on('message', (message: ToChild) => {
    if (message.type === 'finish') allowFinish()
    else void run(message.job, mayFinish)
  })
  // Without a supervisor nobody would learn of anything.
  process.on('disconnect', () => process.exit(1))
}

async function run(job: Job, mayFinish: Promise<void>): Promise<void> {
  try {
    const store = await openStore({ root: job.root, limits: job.limits })
    await replayAll(store, job)
    await say({ type: 'replayed', progress: await readAllProgress(store) })
    await mayFinish
    await cleanUp(store)
    await store.close()
    await say({ type: 'finished' })
    process.exit(0)
  } catch (error) {
    await say({
      type: 'failed',
      message: error instanceof Error ? (error.stack ?? error.message) : String(error),
    })
    process.exit(1)
  }
}

async function replayAll(store: Store, { source, inFlight, threads }: Job): Promise<void> {
  const durable = await readAllProgress(store)
  await say({ type: 'resumed', progress: durable })
  const commits = (): ReturnType<typeof readTrace> => readTrace(source.trace, source.limit ?? Infinity)
  const outline = await readOutline(commits())
  const contents = openContents(source.repository)
  const agents = threads === 0 ? localAgents : new ThreadAgents(store, threads)
  const outbox = new Outbox()
  try {
    await replayCommits(store, {
      outline,
      commits: commits(),
      contents,
      agents,
      inFlight,
      durable,
      onAcknowledged: (acknowledgement) => outbox.add(acknowledgement),
      onAudited: (audit) => void say({ type: 'audited', audit }),
    })
  } finally {
    contents.close()
    await agents.close()
  }
  outbox.send()
}

/** Leaves what a history's head has: no bookkeeping, and no folder without files. */
async function cleanUp(store: Store): Promise<void> {
  for await (const namespace of store.namespaces()) {
    const session = await store.resume(namespace)
    await session.delete(PROGRESS_KEY)
    if ((await session.list({ limit: 1 })).length === 0) await store.remove(namespace)
  }
}

/** Collects the acknowledgements of one turn of the event loop into one message. */
class Outbox {
  #waiting: Acknowledgement[] = []

  add(acknowledgement: Acknowledgement): void {
    if (this.#waiting.length === 0) setImmediate(() => this.send())
    this.#waiting.push(acknowledgement)
  }

  send(): void {
    if (this.#waiting.length === 0) return
    const batches = this.#waiting
    this.#waiting = []
    void say({ type: 'acknowledged', batches })
  }
}

/** Resolves when the message was handed over, in the order of the calls. */
function say(message: FromChild): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined) resolve()
    else process.send(message, () => resolve())
  })
}

main()

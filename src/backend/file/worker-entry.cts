/**
 * What the pool loads in a worker thread. It is CommonJS because the pool loads it with `require`, and a thread that is
 * ended while `require` loads an ES module can take the process down (Node 20); a dynamic import can be cut off at any time.
 */
type Worker = (task: unknown) => unknown

let worker: Promise<{ readonly default: Worker }> | null = null
let before: Promise<void> = Promise.resolve()

/** The pool hands over at once all tasks that have come: each begins when the one before it was answered, not only done. */
async function runInWorker(task: unknown): Promise<unknown> {
  const turn = before
  let done = (): void => {}
  before = new Promise((resolve) => (done = resolve))
  await turn
  try {
    worker ??= load()
    return (await worker).default(task)
  } finally {
    done()
  }
}

/** Node keeps a load that failed, for want of file descriptors, say. The next thread may have more luck. */
async function load(): Promise<{ readonly default: Worker }> {
  try {
    return (await import('./worker.js')) as { readonly default: Worker }
  } catch {
    return process.exit(1)
  }
}

export = runInWorker

/**
 * What the pool loads in a worker thread. It is CommonJS because the pool loads it with `require`, and a thread that is
 * ended while `require` loads an ES module can take the process down (Node 20); a dynamic import can be cut off at any time.
 */
type Worker = (task: unknown) => unknown

let worker: Promise<{ readonly default: Worker }> | null = null

async function runInWorker(task: unknown): Promise<unknown> {
  worker ??= import('./worker.js') as Promise<{ readonly default: Worker }>
  return (await worker).default(task)
}

export = runInWorker

/** A handful of threads that each do one blocking job after another, as a program with its own threads would. */
import { Worker, type Transferable } from 'node:worker_threads'

interface Pending {
  readonly resolve: (answer: unknown) => void
  readonly reject: (reason: unknown) => void
}

export type ThreadAnswer = { readonly answer: unknown } | { readonly error: unknown }

export class Threads {
  readonly #workers: { readonly worker: Worker; readonly pending: Pending[] }[]

  /** The worker answers every message with a `ThreadAnswer`, in order. */
  constructor(entry: URL, count: number) {
    this.#workers = Array.from({ length: count }, () => {
      const worker = new Worker(entry)
      const pending: Pending[] = []
      worker.on('message', (answer: ThreadAnswer) => {
        const { resolve, reject } = pending.shift()!
        if ('error' in answer) reject(answer.error)
        else resolve(answer.answer)
      })
      worker.on('error', (error) => {
        for (const { reject } of pending.splice(0)) reject(error)
      })
      return { worker, pending }
    })
  }

  /** Given to the thread with the least to do. */
  run(job: unknown, transferred: readonly Transferable[] = []): Promise<unknown> {
    const least = this.#workers.reduce((a, b) => (b.pending.length < a.pending.length ? b : a))
    return new Promise((resolve, reject) => {
      least.pending.push({ resolve, reject })
      least.worker.postMessage(job, transferred)
    })
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map(({ worker }) => worker.terminate()))
  }
}

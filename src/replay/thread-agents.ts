/**
 * ThreadAgents owns the threads that the agents of a replay live in. An author is always in the same thread; which one,
 * goes by turns.
 */
import { Worker } from 'node:worker_threads'
import type { Operation, Session, Store } from '../index.js'
import type { FromThread, ToThread } from './agent-thread.js'
import type { Agents, BatchResults } from './agents.js'

interface Waiting {
  resolve(results: BatchResults): void
  reject(error: Error): void
}

export class ThreadAgents implements Agents {
  /** Two authors may be in different threads, which do not know of each other. */
  readonly keepOrder = false
  readonly #threads: readonly Thread[]
  readonly #threadOf = new Map<string, Thread>()

  constructor(store: Store, count: number) {
    this.#threads = Array.from({ length: count }, () => new Thread(store))
  }

  batch(session: Session, author: string, operations: readonly Operation[]): Promise<BatchResults> {
    return this.#thread(author).batch(author, session.namespace, operations)
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()))
  }

  #thread(author: string): Thread {
    const known = this.#threadOf.get(author)
    if (known !== undefined) return known
    const thread = this.#threads[this.#threadOf.size % this.#threads.length]!
    this.#threadOf.set(author, thread)
    return thread
  }
}

class Thread {
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  /** Why it has ended, if it has. */
  #failure: Error | null = null
  #nextId = 0

  constructor(store: Store) {
    const port = store.createPort()
    this.#worker = new Worker(new URL('./agent-thread.js', import.meta.url), {
      workerData: { port },
      transferList: [port],
    })
    this.#worker.on('message', (message: FromThread) => this.#take(message))
    this.#worker.on('error', (error) => this.#fail(error))
    this.#worker.on('exit', () => this.#fail(new Error('a thread of agents has ended')))
  }

  batch(author: string, namespace: string, operations: readonly Operation[]): Promise<BatchResults> {
    const message: ToThread = { id: this.#nextId++, author, namespace, operations }
    return new Promise((resolve, reject) => {
      if (this.#failure !== null) throw this.#failure
      this.#waiting.set(message.id, { resolve, reject })
      this.#worker.postMessage(message)
    })
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }

  #take(message: FromThread): void {
    const waiting = this.#waiting.get(message.id)
    this.#waiting.delete(message.id)
    if ('results' in message) waiting?.resolve(message.results)
    else waiting?.reject(new Error(message.failure))
  }

  #fail(error: Error): void {
    this.#failure ??= error
    for (const waiting of this.#waiting.values()) waiting.reject(this.#failure)
    this.#waiting.clear()
  }
}

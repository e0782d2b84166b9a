/** A thread of agents: connected to the store of the main thread, it writes the batches that it is sent. */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import { connectStore, type Operation, type Session, type Store } from '../index.js'
import type { BatchResults } from './agents.js'

export interface ToThread {
  readonly id: number
  readonly author: string
  readonly namespace: string
  readonly operations: readonly Operation[]
}

export type FromThread =
  { readonly id: number; readonly results: BatchResults } | { readonly id: number; readonly failure: string }

function main(port: MessagePort): void {
  const store = connectStore((workerData as { readonly port: MessagePort }).port)
  const sessions = new Map<string, Promise<Session>>()
  port.on('message', (message: ToThread) => {
    void answer(store, sessions, message).then((said) => port.postMessage(said))
  })
}

async function answer(
  store: Promise<Store>,
  sessions: Map<string, Promise<Session>>,
  { id, author, namespace, operations }: ToThread,
): Promise<FromThread> {
  try {
    const name = JSON.stringify([author, namespace])
    const session = sessions.get(name) ?? open(store, namespace, author)
    sessions.set(name, session)
    return { id, results: await (await session).batch(operations) }
  } catch (error) {
    return { id, failure: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}

async function open(store: Promise<Store>, namespace: string, author: string): Promise<Session> {
  return (await store).resume(namespace, { writer: { writerId: author } })
}

if (parentPort !== null) main(parentPort)

/** Agents in threads of their own, as users have them: of the built package. What they do is in `support/acts`. */
import { Worker, type MessagePort } from 'node:worker_threads'
import { onTestFinished } from 'vitest'
import { COUNTERS } from './support/thread-notes.mjs'

export interface AgentThread {
  readonly worker: Worker
  /** One for each thing that it does, by its number: asked, acknowledged. */
  readonly marks: Uint8Array
  /** By the numbers of `COUNTER`. */
  readonly counters: Int32Array
  /** The next thing of this name that it says, or said and nobody has taken. Rejects if the thread ends before. */
  said(what: string): Promise<Readonly<Record<string, unknown>>>
  /** Resolves when it has ended, with the error that it ended with, if it did. */
  readonly ended: Promise<unknown>
}

interface Message extends Readonly<Record<string, unknown>> {
  readonly said: string
}

const MARKS = 1_000_000

export function startThread(
  act: string,
  port: MessagePort,
  settings: Readonly<Record<string, unknown>> = {},
): AgentThread {
  const notes = { marks: new SharedArrayBuffer(MARKS), counters: new SharedArrayBuffer(COUNTERS * 4) }
  const worker = new Worker(new URL('./support/thread.mjs', import.meta.url), {
    workerData: { ...settings, act, port, notes },
    transferList: [port],
  })
  onTestFinished(async () => void (await worker.terminate()))
  let error: unknown
  const messages: Message[] = []
  const listeners = new Set<() => void>()
  worker.on('error', (thrown) => (error = thrown))
  worker.on('message', (message: Message) => {
    messages.push(message)
    for (const look of listeners) look()
  })
  const ended = new Promise((resolve) => worker.once('exit', () => resolve(error)))
  const said = async (what: string): Promise<Message> => {
    const found = new Promise<Message>((resolve) => {
      const look = (): void => {
        const index = messages.findIndex((message) => message.said === what)
        if (index === -1) return
        listeners.delete(look)
        resolve(messages.splice(index, 1)[0]!)
      }
      listeners.add(look)
      look()
    })
    const tooLate = ended.then((cause) => {
      throw new Error(`the thread ended before it said '${what}'`, { cause })
    })
    return Promise.race([found, tooLate])
  }
  return { worker, marks: new Uint8Array(notes.marks), counters: new Int32Array(notes.counters), said, ended }
}

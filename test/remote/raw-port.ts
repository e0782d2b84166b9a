/** The end of a port in the hands of somebody who does not use the library: says what he likes, and hears everything. */
import { randomUUID } from 'node:crypto'
import { MessageChannel, receiveMessageOnPort, type MessagePort } from 'node:worker_threads'
import { onTestFinished } from 'vitest'
import { deferred } from '../../src/contract/observe.js'
import type { Greeting } from '../../src/remote/wire.js'

type Message = Readonly<Record<string, unknown>>

interface Delivery {
  readonly list: readonly unknown[]
  readonly packed: Uint8Array | null
}

export class RawPort {
  readonly port: MessagePort
  readonly greeting: Greeting
  readonly messages: unknown[] = []
  readonly closed: Promise<void>
  isClosed = false
  readonly #answers = new Map<string, (answer: unknown) => void>()
  readonly #deliveries: Delivery[] = []
  #onDelivery: (() => void) | null = null

  /** `takes`: says that it has taken what is delivered, as the library does. */
  constructor(port: MessagePort, takes = true) {
    this.port = port
    this.greeting = receiveMessageOnPort(port)?.message as Greeting
    const closed = deferred()
    this.closed = closed.promise
    port.on('message', (posted: Message | readonly Message[]) => {
      for (const message of Array.isArray(posted) ? (posted as readonly Message[]) : [posted as Message]) {
        this.messages.push(message)
        if (message.type === 'APPLY') this.#delivered(message, takes)
        else this.#answers.get(message.id as string)?.(message)
      }
    })
    port.on('close', () => {
      this.isClosed = true
      closed.resolve()
    })
    onTestFinished(() => port.close())
  }

  say(message: unknown, moved: readonly unknown[] = []): void {
    this.port.postMessage(message, moved as never)
  }

  /** Says it under an id of its own and gives the answer, or `closed` if there is none any more. */
  async ask(message: object, moved: readonly unknown[] = []): Promise<unknown> {
    const id = randomUUID()
    const answered = new Promise((resolve) => this.#answers.set(id, resolve))
    this.say({ id, ...message }, moved)
    return Promise.race([answered, this.closed.then(() => 'closed')])
  }

  /** Sends a batch as the library does. */
  calls(
    list: readonly unknown[],
    packed: unknown = null,
    large: unknown = [],
    ports: unknown = [],
  ): Promise<unknown> {
    return this.apply([list, packed, large, ports], [...((Array.isArray(ports) ? ports : []) as unknown[])])
  }

  apply(batch: unknown, moved: readonly unknown[] = []): Promise<unknown> {
    const argumentList = [{ type: 'RAW', value: batch }]
    return this.ask({ type: 'APPLY', path: ['calls'], argumentList }, moved)
  }

  /** The next batch that was delivered. */
  async delivery(): Promise<Delivery> {
    for (;;) {
      const next = this.#deliveries.shift()
      if (next !== undefined) return next
      await Promise.race([
        new Promise<void>((resolve) => (this.#onDelivery = resolve)),
        this.closed.then(() => {
          throw new Error('the port was closed')
        }),
      ])
    }
  }

  #delivered(message: Readonly<Record<string, unknown>>, takes: boolean): void {
    const [argument] = message.argumentList as [{ readonly value: readonly [unknown[], Uint8Array | null] }]
    const [list, packed] = argument.value
    this.#deliveries.push({ list, packed })
    this.#onDelivery?.()
    if (takes) this.say({ id: message.id, type: 'RAW', value: undefined })
  }
}

/** Another port in front of this one, which can be cut: then neither side is told why. `greet` changes what is said first. */
export function relay(
  port: MessagePort,
  greet = (greeting: Greeting): Greeting => greeting,
): { readonly port: MessagePort; cut(): void } {
  const { port1, port2 } = new MessageChannel()
  port1.postMessage(greet(receiveMessageOnPort(port)?.message as Greeting))
  port.on('message', (message) => port1.postMessage(message))
  port1.on('message', (message) => port.postMessage(message))
  const cut = (): void => {
    port.close()
    port1.close()
  }
  onTestFinished(cut)
  return { port: port2, cut }
}

/** Whether comlink's answer is an error, and which. */
export function errorOf(answer: unknown): { readonly name: string; readonly message: string } | null {
  if (typeof answer !== 'object' || answer === null || (answer as { name?: unknown }).name !== 'throw')
    return null
  return (answer as { value: { value: { name: string; message: string } } }).value.value
}

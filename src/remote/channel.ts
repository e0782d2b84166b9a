/**
 * Channel owns one end of a port between threads: each side exposes one method through comlink and calls the other's. It
 * keeps what comlink could not do: hostile messages don't reach comlink, a closed port is noticed (comlink alone would
 * leave its calls pending for ever), and comlink's proxies are held as long as the channel (one that is collected would
 * close the port).
 *
 * - The answer to `send` says no more than that the other side has taken the batch; it stays out when the port closes.
 *   It travels with the next batch of its own direction, as a list of messages in one, and waits for that a little: waking a
 *   thread costs as much as the batch.
 * - What may come in one message is bounded, as what it sends is: the other ports of this thread wait meanwhile (I9).
 * - Nothing in here keeps a thread alive for longer than two turns of its event loop unless `ref` was called.
 */
import type { MessagePort } from 'node:worker_threads'
import { expose, releaseProxy, transfer, wrap, type Endpoint } from 'comlink'
import { refusal, siftMessage } from './comlink-message.js'

/** What travels in one message: values in a row, and the bytes that belong to them. */
export type Batch = readonly [
  list: unknown[],
  packed: Uint8Array | null,
  large: ArrayBuffer[],
  ports: MessagePort[],
]

export interface ChannelMethods {
  /** Of this side. */
  readonly exposes: string
  /** Of the other side. */
  readonly calls: string
  /** How long it may take to say that a batch was taken, while nothing else is sent; 0: as soon as what it led to is sent. */
  readonly answersWithinMs: number
}

export interface ChannelEvents {
  /** A batch has come. What it throws is told to the other side, as is that it is done. */
  received(batch: unknown): void | Promise<void>
  /** The port was closed, by either side or because a thread has ended. Called once, not after `close`. */
  closed(): void
}

type Listener = (event: { readonly data: unknown }) => void
type Method = (batch: Batch) => Promise<void>
type Remote = Method & { [releaseProxy](): void }

/** Answers that wait for the next message, which is one more in their list. */
const HELD_MAX = 100

/** So many refused messages, and the port is closed. */
const REFUSALS_MAX = 1000

export class Channel {
  readonly #port: MessagePort
  readonly #events: ChannelEvents
  readonly #methods: ReadonlySet<string>
  readonly #answersWithinMs: number
  /** Answers that are to go with the next message. */
  #held: unknown[] = []
  #isTimed = false
  readonly #remote: Remote
  readonly #send: Remote
  #onCall: Listener = () => {}
  #onAnswer: Listener = () => {}
  #refusals = 0
  #isOpen = true

  constructor(port: MessagePort, { exposes, calls, answersWithinMs }: ChannelMethods, events: ChannelEvents) {
    this.#port = port
    this.#answersWithinMs = answersWithinMs
    this.#events = events
    this.#methods = new Set([exposes])
    // Without a prototype there is nothing else to be found.
    const exposed = Object.assign(Object.create(null) as object, {
      [exposes]: (batch: unknown) => events.received(batch),
    })
    expose(
      exposed,
      this.#endpoint((listener) => (this.#onCall = listener)),
    )
    this.#remote = wrap(this.#endpoint((listener) => (this.#onAnswer = listener))) as unknown as Remote
    this.#send = (this.#remote as unknown as Record<string, Remote>)[calls]!
    port.addEventListener('message', (event) => this.#received((event as unknown as { data: unknown }).data))
    port.addEventListener('messageerror', () => this.#lost())
    port.addEventListener('close', () => this.#lost())
    port.unref()
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Resolves when the other side has taken the batch. */
  send(batch: Batch): Promise<void> {
    const [, packed, large, ports] = batch
    const moved: (ArrayBuffer | MessagePort)[] = [...large, ...ports]
    if (packed !== null) moved.push(packed.buffer as ArrayBuffer)
    return this.#send(moved.length === 0 ? batch : transfer(batch, moved as never))
  }

  ref(): void {
    if (this.#isOpen) this.#port.ref()
  }

  unref(): void {
    if (this.#isOpen) this.#port.unref()
  }

  /** What was sent before still arrives. */
  close(): void {
    if (!this.#isOpen) return
    this.#sayHeld()
    this.#isOpen = false
    this.#port.close()
    this.#onCall = () => {}
    this.#onAnswer = () => {}
    // Nothing is sent any more: this only takes the proxies from comlink's books.
    this.#send[releaseProxy]()
    this.#remote[releaseProxy]()
  }

  #endpoint(listen: (listener: Listener) => void): Endpoint {
    return {
      postMessage: (message: unknown, moved?: readonly unknown[]) => {
        if (!this.#isOpen) return
        if (isPlainAnswer(message)) return this.#hold(message)
        this.#post([...this.#takeHeld(), message], moved)
      },
      addEventListener: (_type: string, listener: unknown) => listen(listener as Listener),
      removeEventListener: () => {},
    }
  }

  #hold(answer: unknown): void {
    this.#held.push(answer)
    if (this.#held.length === HELD_MAX) return this.#sayHeld()
    if (this.#isTimed) return
    this.#isTimed = true
    const late = (): void => {
      this.#isTimed = false
      this.#sayHeld()
    }
    if (this.#answersWithinMs > 0) setTimeout(late, this.#answersWithinMs).unref()
    // What the batch led to is sent at the end of this turn; this is behind it.
    else setImmediate(() => setImmediate(late))
  }

  #sayHeld(): void {
    if (this.#isOpen) this.#post(this.#takeHeld())
  }

  #takeHeld(): readonly unknown[] {
    const held = this.#held
    this.#held = []
    return held
  }

  #post(messages: readonly unknown[], moved?: readonly unknown[]): void {
    if (messages.length > 0)
      this.#port.postMessage(messages.length === 1 ? messages[0] : messages, moved as never)
  }

  #received(data: unknown): void {
    if (!Array.isArray(data)) this.#take(data)
    else if (data.length <= HELD_MAX + 1) this.#takeFrom(data, 0)
    else this.#lost()
  }

  /** As if each had come alone: what waited for an answer goes on before the next message is taken. */
  #takeFrom(messages: readonly unknown[], index: number): void {
    if (!this.#isOpen || index === messages.length) return
    this.#take(messages[index])
    // Behind every promise that is settled by now or on the way, and before the next event.
    queueMicrotask(() => process.nextTick(() => this.#takeFrom(messages, index + 1)))
  }

  #take(message: unknown): void {
    const sifted = siftMessage(message, this.#methods)
    if (sifted.kind === 'call') {
      this.#onCall({ data: sifted.message })
    } else if (sifted.kind === 'answer') {
      this.#onAnswer({ data: sifted.message })
    } else {
      if (sifted.id !== null) this.#port.postMessage(refusal(sifted.id, sifted.reason))
      if (++this.#refusals >= REFUSALS_MAX) this.#lost()
    }
  }

  #lost(): void {
    if (!this.#isOpen) return
    this.close()
    this.#events.closed()
  }
}

/** Comlink's answer that a call has returned; errors are told at once. */
function isPlainAnswer(message: unknown): boolean {
  return (message as { readonly type?: unknown }).type === 'RAW'
}

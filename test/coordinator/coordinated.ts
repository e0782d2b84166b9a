/** A coordinator over a backend that a test holds in its hands, without sessions above it. */
import type { EventMap } from '../../src/api.js'
import type { HeadAnswer, ReadAnswer } from '../../src/backend/backend.js'
import { deferred, nextTurn, type Deferred } from '../../src/contract/observe.js'
import { Coordinator } from '../../src/coordinator/coordinator.js'
import type { ChangeTerms, OperationResult, RequestAnswer, RequestedOperation } from '../../src/requests.js'
import { EventBus } from '../../src/event-bus.js'
import { DEFAULT_LIMITS, type Limits } from '../../src/limits.js'
import { HeldBackend } from '../helpers/held-backend.js'

export const TERMS: ChangeTerms = {
  writer: null,
  conflictPolicy: 'ignore',
  detect: 'lost-update',
  durability: 'journal',
  repairMetadata: false,
}

/** A question to the backend that waits for the test. */
export interface HeldQuestion<A> {
  readonly keys: readonly string[]
  /** Asks for real and answers with that. */
  proceed(): Promise<void>
  readonly answer: Deferred<A>
}

/** Holds lookups, too, and counts how often it was asked whether it is ready. */
export class QuestionedBackend extends HeldBackend {
  holdsQuestions = false
  readonly headQuestions: HeldQuestion<readonly HeadAnswer[]>[] = []
  readonly readQuestions: HeldQuestion<readonly ReadAnswer[]>[] = []
  readyCalls = 0
  /** What `materialized` gives. */
  tree: () => Promise<void> = () => Promise.resolve()

  override ready(): Promise<void> | null {
    this.readyCalls++
    return super.ready()
  }

  override heads(namespace: string, keys: readonly string[]): Promise<readonly HeadAnswer[]> {
    return this.#ask(this.headQuestions, keys, () => super.heads(namespace, keys))
  }

  override read(namespace: string, keys: readonly string[]): Promise<readonly ReadAnswer[]> {
    return this.#ask(this.readQuestions, keys, () => super.read(namespace, keys))
  }

  override materialized(): Promise<void> {
    return this.tree()
  }

  #ask<A>(questions: HeldQuestion<A>[], keys: readonly string[], ask: () => Promise<A>): Promise<A> {
    if (!this.holdsQuestions) return ask()
    const answer = deferred<A>()
    questions.push({ keys, answer, proceed: async () => answer.resolve(await ask()) })
    return answer.promise
  }
}

export interface Coordinated {
  readonly backend: QuestionedBackend
  readonly bus: EventBus
  readonly coordinator: Coordinator
  readonly events: { readonly [T in keyof EventMap]: EventMap[T][] }
  change(
    namespace: string,
    operations: readonly RequestedOperation[],
    signal?: AbortSignal,
    terms?: Partial<ChangeTerms>,
  ): Promise<readonly OperationResult[]>
  write(namespace: string, key: string, value?: string, signal?: AbortSignal): Promise<OperationResult>
  remove(namespace: string, key: string, signal?: AbortSignal): Promise<OperationResult>
  create(namespace: string): Promise<RequestAnswer>
}

/** As the coordinator gives values. */
export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

export function writeOf(key: string, value = ''): RequestedOperation {
  const bytes = Buffer.from(value)
  return { kind: 'write', key, value: bytes, size: bytes.length, ifRevision: undefined, seen: undefined }
}

export function deleteOf(key: string): RequestedOperation {
  return { kind: 'delete', key, ifRevision: undefined, seen: undefined }
}

export async function coordinate(
  limits: Partial<Limits> = {},
  backend = new QuestionedBackend(),
): Promise<Coordinated> {
  const all = { ...DEFAULT_LIMITS, ...limits }
  const bus = new EventBus(all.eventBufferMax)
  const coordinator = new Coordinator(backend, all, bus, () => 1_700_000_000_000)
  const types = ['conflict', 'change', 'external', 'warning', 'failed', 'recovered', 'closed'] as const
  const events = Object.fromEntries(types.map((type) => [type, [] as unknown[]]))
  for (const type of types) bus.on(type, (event) => events[type]!.push(event))
  await coordinator.open()
  const change: Coordinated['change'] = async (namespace, operations, signal, terms) => {
    const bytes = operations.reduce((sum, each) => sum + (each.kind === 'write' ? each.size : 0), 0)
    const single = operations.length === 1
    const body = { kind: 'change' as const, operations, single, terms: { ...TERMS, ...terms } }
    const answer = await coordinator.submit(namespace, body, bytes, null, signal)
    return (single ? [answer] : answer) as readonly OperationResult[]
  }
  return {
    backend,
    bus,
    coordinator,
    events: events as unknown as Coordinated['events'],
    change,
    write: async (namespace, key, value, signal) =>
      (await change(namespace, [writeOf(key, value)], signal))[0]!,
    remove: async (namespace, key, signal) => (await change(namespace, [deleteOf(key)], signal))[0]!,
    create: (namespace) => coordinator.submit(namespace, { kind: 'create' }, 0, null, undefined),
  }
}

/** Goes on when it is so; turns of the event loop pass meanwhile. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await nextTurn()
}

/** Lets pass what needs no more than a few turns of the event loop. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await nextTurn()
}

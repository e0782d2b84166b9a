/**
 * HostCalls takes the calls of one connection out of its batches and has them done. Whoever sends them may be hostile: the
 * shape of a call is checked while it is read, its content as a session would check it, and its bounds last.
 */
import { Request } from '../coordinator/request.js'
import type { RequestAnswer, RequestBody } from '../requests.js'
import type { EventType } from '../event-bus.js'
import { checkKey } from '../key.js'
import { NAMESPACE_BYTES_MAX } from '../limits.js'
import { pageOf } from '../page.js'
import { MalformedBatch, type BatchReader } from './batch-reader.js'
import { allowsNamespace, checkWritable, narrowBounds, NAMESPACES_MAX } from './bounds.js'
import type { HostAnswers } from './host-answers.js'
import type { ConnectionRights, HostContext } from './host-context.js'
import type { HostEvents } from './host-events.js'
import { HostNamespaces } from './host-namespaces.js'
import { readOperations, readWrite, type ReadOperations } from './host-operations.js'
import { readPage, type HostReads } from './host-reads.js'
import { HostTerms } from './host-terms.js'
import type { HostTurns } from './host-turns.js'
import type { HostWatches } from './host-watches.js'
import type { InFlight } from './in-flight.js'
import { CALL, EVENT_WINDOW, TERMS_SLOTS } from './wire.js'

export interface CallParts {
  readonly answers: HostAnswers
  readonly inFlight: InFlight
  readonly reads: HostReads
  readonly events: HostEvents
  readonly watches: HostWatches
  readonly turns: HostTurns
  /** The other side wants to go, or, if it owns the store, to close it. */
  close(id: number, flush: boolean): void
}

/** Why a request is withdrawn whose caller has given up. */
const ABORTED = Symbol('aborted')

/** Of the others a connection learns without asking. */
const SENT_EVENTS: readonly EventType[] = ['conflict', 'change', 'external', 'warning', 'recovered']

const TOKEN_LENGTH_MAX = 100

export class HostCalls {
  readonly #context: HostContext
  readonly #rights: ConnectionRights
  readonly #parts: CallParts
  readonly #terms: HostTerms
  readonly #names: HostNamespaces
  #lastId = 0

  constructor(context: HostContext, rights: ConnectionRights, parts: CallParts) {
    this.#context = context
    this.#rights = rights
    this.#parts = parts
    this.#terms = new HostTerms(rights.bounds)
    this.#names = new HostNamespaces(rights.bounds)
  }

  /** Takes the next entry. Throws where it does not have the shape of one, or is too much. */
  take(reader: BatchReader): void {
    switch (reader.next()) {
      case CALL.WRITE:
        return this.#write(reader)
      case CALL.CHANGE:
        return this.#change(reader)
      case CALL.READ:
        return this.#read(reader)
      case CALL.HEAD:
        return this.#head(reader)
      case CALL.CREATE:
        return this.#createOrRemove(reader, { kind: 'create' })
      case CALL.REMOVE:
        return this.#createOrRemove(reader, { kind: 'remove' })
      case CALL.EXISTS:
        return this.#exists(reader)
      case CALL.LIST:
        return this.#list(reader)
      case CALL.NAMESPACES:
        return this.#namespaces(reader)
      case CALL.UPDATE:
        return this.#update(reader)
      case CALL.WATCH:
        return this.#watch(reader)
      case CALL.FLUSH:
        return this.#flush(reader)
      case CALL.METRICS:
        return this.#metrics(reader)
      case CALL.CONFLICTS:
        return this.#conflicts(reader)
      case CALL.HELLO:
        return this.#parts.answers.done(this.#begin(reader))
      case CALL.CLOSE:
        return this.#parts.close(this.#begin(reader, 0), reader.flag())
      default:
        throw new MalformedBatch('there is no such call')
      case CALL.TERMS:
        return this.#terms.define(reader)
      case CALL.NAMESPACE:
        return this.#names.define(reader)
      case CALL.ABORT:
        return this.#abort(reader.id())
      case CALL.TURN_OVER:
        return void this.#parts.turns.leave(reader.id())
      case CALL.WATCH_TAKEN:
        return this.#watchTaken(reader)
      case CALL.WATCH_STOP:
        return this.#parts.watches.stop(reader.id())
      case CALL.EVENTS:
        return this.#events(reader)
      case CALL.PORT:
        return this.#port(reader)
    }
  }

  #write(reader: BatchReader): void {
    const id = this.#id(reader)
    const namespace = this.#names.take(reader)
    const slot = reader.integer(0, TERMS_SLOTS - 1)
    this.#submit(id, namespace, slot, true, readWrite(reader, this.#context.coordinator))
  }

  #change(reader: BatchReader): void {
    const id = this.#id(reader)
    const namespace = this.#names.take(reader)
    const slot = reader.integer(0, TERMS_SLOTS - 1)
    const single = reader.flag()
    const count = reader.integer(1, single ? 1 : Number.MAX_SAFE_INTEGER)
    const read = readOperations(reader, count, single, this.#context.coordinator)
    this.#submit(id, namespace, slot, single, read)
  }

  #submit(
    id: number,
    namespace: string,
    slot: number,
    single: boolean,
    { operations, bytes, problem }: ReadOperations,
  ): void {
    // One that is refused takes its place, too, until it is answered.
    this.#parts.inFlight.begin(id, Math.max(1, operations.length), bytes)
    this.#try(id, () => {
      this.#names.check(namespace)
      checkWritable(this.#rights.bounds)
      if (problem !== null) throw problem.error
      const body = { kind: 'change' as const, operations, single, terms: this.#terms.get(slot) }
      this.#enqueue(id, namespace, body, bytes)
    })
  }

  #createOrRemove(reader: BatchReader, body: RequestBody): void {
    const id = this.#begin(reader)
    const namespace = this.#names.take(reader)
    this.#try(id, () => {
      this.#names.check(namespace)
      checkWritable(this.#rights.bounds)
      this.#enqueue(id, namespace, body, 0)
    })
  }

  #enqueue(id: number, namespace: string, body: RequestBody, bytes: number): void {
    const { answers, inFlight } = this.#parts
    const resolve = (answer: RequestAnswer): void => {
      if (typeof answer === 'boolean') answers.truth(id, answer)
      else if (body.kind === 'change') {
        answers.changed(id, body.operations, 'key' in answer ? [answer] : answer)
      }
    }
    const reject = (error: unknown): void => {
      if (error === ABORTED) answers.withdrawn(id)
      else answers.failed(id, error)
    }
    const request = new Request(body, bytes, null, resolve, reject)
    inFlight.setRequest(id, request)
    this.#context.coordinator.enqueue(namespace, request)
  }

  #read(reader: BatchReader): void {
    const id = this.#begin(reader)
    const namespace = this.#names.take(reader)
    const key = reader.text()
    this.#try(id, () => {
      this.#checkEntry(namespace, key)
      this.#parts.reads.read({ id, namespace, key })
    })
  }

  #head(reader: BatchReader): void {
    const id = this.#begin(reader)
    const namespace = this.#names.take(reader)
    const key = reader.text()
    const { answers } = this.#parts
    this.#wait(id, async () => {
      this.#checkEntry(namespace, key)
      answers.head(id, await this.#context.coordinator.head(namespace, key, undefined))
    })
  }

  #exists(reader: BatchReader): void {
    const id = this.#begin(reader)
    const namespace = this.#names.take(reader)
    this.#wait(id, async () => {
      this.#names.check(namespace)
      this.#parts.answers.truth(id, await this.#context.coordinator.exists(namespace, undefined))
    })
  }

  #flush(reader: BatchReader): void {
    const id = this.#begin(reader)
    this.#wait(id, async () => {
      await this.#context.coordinator.flush(undefined)
      this.#parts.answers.done(id)
    })
  }

  #metrics(reader: BatchReader): void {
    const id = this.#id(reader)
    this.#parts.inFlight.beginQuestion(id)
    this.#try(id, () => {
      this.#context.coordinator.checkOpen()
      const mayKnow = (namespace: string): boolean => allowsNamespace(this.#rights.bounds, namespace)
      this.#parts.answers.metrics(id, this.#context.metrics(mayKnow))
    })
  }

  #conflicts(reader: BatchReader): void {
    const id = this.#begin(reader)
    const { answers, reads } = this.#parts
    const answer = async (): Promise<number> => {
      const events = await this.#context.coordinator.conflicts(undefined)
      const allowed = events.filter(({ namespace }) => allowsNamespace(this.#rights.bounds, namespace))
      return answers.conflicts(id, allowed)
    }
    reads.list({ id, answer })
  }

  #list(reader: BatchReader): void {
    const id = this.#begin(reader)
    const namespace = this.#names.take(reader)
    const page = readPage(reader, this.#context.coordinator.limits.keyBytesMax)
    const { answers, reads } = this.#parts
    const answer = async (): Promise<number> =>
      answers.names(id, await this.#context.coordinator.list(namespace, page, undefined))
    this.#try(id, () => {
      this.#names.check(namespace)
      reads.list({ id, answer })
    })
  }

  #namespaces(reader: BatchReader): void {
    const id = this.#begin(reader)
    const page = readPage(reader, NAMESPACE_BYTES_MAX)
    const { answers, reads } = this.#parts
    const answer = async (): Promise<number> => {
      const names = await this.#context.coordinator.namespaces(undefined, undefined)
      const allowed = names.filter((name) => allowsNamespace(this.#rights.bounds, name))
      return answers.names(id, pageOf(allowed, page))
    }
    reads.list({ id, answer })
  }

  /** A turn is no operation under way: whoever waits for one must not take the credits of whoever has it. */
  #update(reader: BatchReader): void {
    const id = this.#begin(reader, 0)
    const namespace = this.#names.take(reader)
    const key = reader.text()
    const slot = reader.integer(0, TERMS_SLOTS - 1)
    const token = reader.optionalText()
    const parentId = reader.integer(0, Number.MAX_SAFE_INTEGER)
    this.#try(id, () => {
      this.#checkEntry(namespace, key)
      checkWritable(this.#rights.bounds)
      const parent = token === undefined ? null : this.#context.findTurn(token, parentId)
      const { turns, reads } = this.#parts
      const { writer } = this.#terms.get(slot)
      turns.enter(id, namespace, key, writer, parent, () => reads.read({ id, namespace, key }))
    })
  }

  #abort(id: number): void {
    this.#parts.inFlight.request(id)?.withdraw(ABORTED)
    if (this.#parts.turns.leave(id) === 'waiting') this.#parts.answers.withdrawn(id)
  }

  /** A watch is answered by its items and its end, not as a call. */
  #watch(reader: BatchReader): void {
    const id = this.#id(reader)
    const namespace = this.#names.take(reader)
    const prefix = reader.comparedText(this.#context.coordinator.limits.keyBytesMax)
    const afterRevision = reader.optionalInteger(0)
    const initial = reader.flag()
    try {
      this.#names.check(namespace)
      this.#parts.watches.start(id, namespace, { prefix, afterRevision, initial })
    } catch (error) {
      this.#parts.answers.end(id, { error })
    }
  }

  #watchTaken(reader: BatchReader): void {
    const id = reader.id()
    if (this.#parts.watches.taken(id, reader.integer(1, EVENT_WINDOW))) return
    throw new MalformedBatch('more items were taken than were given')
  }

  #events(reader: BatchReader): void {
    const type = reader.text() as EventType
    const namespace = reader.comparedText(NAMESPACE_BYTES_MAX)
    const isOn = reader.flag()
    if (!SENT_EVENTS.includes(type)) throw new MalformedBatch('there is no such event')
    if (this.#parts.events.subscribe(type, namespace, isOn)) return
    throw new MalformedBatch('too many namespaces to tell apart')
  }

  /** Nobody is answered: whoever has the other end finds it closed. */
  #port(reader: BatchReader): void {
    const token = reader.text()
    const namespaces = reader.texts(NAMESPACES_MAX)
    const readOnly = reader.flag()
    const writer = reader.writer()
    const port = reader.port()
    try {
      if (token === '' || token.length > TOKEN_LENGTH_MAX) throw new RangeError('a token has some characters')
      const asked = { namespaces: namespaces ?? undefined, readOnly, writer: writer ?? undefined }
      // Who opened the store makes as many ports as it likes.
      const family = this.#rights.closeStore === null ? this.#rights.family : { portsOpen: 0 }
      this.#context.adopt(port, token, narrowBounds(this.#rights.bounds, asked), family)
    } catch {
      port.close()
    }
  }

  /** Begins a call that counts as so many operations. */
  #begin(reader: BatchReader, operations = 1): number {
    const id = this.#id(reader)
    this.#parts.inFlight.begin(id, operations, 0)
    return id
  }

  #id(reader: BatchReader): number {
    const id = reader.id()
    if (id <= this.#lastId) throw new MalformedBatch('the ids of calls grow')
    this.#lastId = id
    return id
  }

  #try(id: number, act: () => void): void {
    try {
      act()
    } catch (error) {
      if (error instanceof MalformedBatch) throw error
      this.#parts.answers.failed(id, error)
    }
  }

  #wait(id: number, act: () => Promise<void>): void {
    act().catch((error: unknown) => this.#parts.answers.failed(id, error))
  }

  #checkEntry(namespace: string, key: string): void {
    this.#names.check(namespace)
    checkKey(key, this.#context.coordinator.limits.keyBytesMax)
  }
}

/**
 * A session: checks and encodes what its user passes, and asks the host: the coordinator, in this thread or another. It
 * owns the user's defaults and the memory of what was seen; there is nothing to close.
 */
import type {
  Defaults,
  DeleteResult,
  Entry,
  Handoff,
  If,
  Next,
  Operation,
  Page,
  Results,
  Schema,
  SchemaOutput,
  Session,
  Stat,
  Value,
  Wait,
  WatchItem,
  WatchOptions,
  WriteOptions,
  WriteResult,
  Writer,
} from './api.js'
import { checkFunction } from './check-options.js'
import type { OperationResult, RequestAnswer, RequestBody, RequestedOperation } from './requests.js'
import { SeenKeys } from './seen-keys.js'
import { stateError } from './errors.js'
import { buildHandoff, HANDOFF_KEY, parseHandoff } from './handoff.js'
import { normalizeKey } from './key.js'
import { encodeJson, isSchema, noSchema, parseJson, validateJson } from './json.js'
import {
  checkPage,
  checkRevisionCondition,
  checkWatchOptions,
  resolveDefaults,
  resolveSignal,
  resolveUpdateOptions,
  resolveWriteOptions,
  type ResolvedDefaults,
} from './options.js'
import { toOperations } from './operations.js'
import type { FoundEntry, KnownHead, SessionHost, UpdateStep } from './store-host.js'
import { tracing } from './tracing.js'
import { decodeUtf8 } from './utf8.js'
import { copyOf, takeValue } from './value.js'

/** Entries that `entries()` reads ahead. */
const READ_AHEAD = 16

export interface SessionContext {
  readonly host: SessionHost
  readonly namespace: string
  /** What handover documents name as the root. */
  readonly root: string
  readonly now: () => number
}

export class SessionHandle implements Session {
  readonly #context: SessionContext
  readonly #host: SessionHost
  readonly #defaults: ResolvedDefaults
  readonly #seen: SeenKeys | null

  constructor(context: SessionContext, defaults: ResolvedDefaults) {
    this.#context = context
    this.#host = context.host
    this.#defaults = defaults
    this.#seen = defaults.writer === null ? null : new SeenKeys(context.host.limits.seenKeysMax)
  }

  get namespace(): string {
    return this.#context.namespace
  }

  get writer(): Writer | null {
    return this.#defaults.writer
  }

  with(overrides: Defaults): Session {
    const defaults = resolveDefaults(this.#defaults, overrides)
    this.#host.checkWriter(defaults.writer)
    return new SessionHandle(this.#context, defaults)
  }

  read(key: string, options?: Wait): Promise<string | null> {
    return this.#read(key, options, (found, normalized) => this.#text(normalized, found))
  }

  readBytes(key: string, options?: Wait): Promise<Uint8Array | null> {
    return this.#read(key, options, ({ value }) => copyOf(value))
  }

  readJson<S extends Schema>(key: string, schema: S, options?: Wait): Promise<SchemaOutput<S> | null>
  readJson(key: string, options?: Wait): Promise<unknown>
  async readJson(key: string, schemaOrOptions?: Schema | Wait, options?: Wait): Promise<unknown> {
    const schema = isSchema(schemaOrOptions) ? schemaOrOptions : undefined
    // With options behind it, what is no schema was meant to be one: the value must not go unvalidated.
    if (schema === undefined && schemaOrOptions !== undefined && options !== undefined) throw noSchema()
    const wait = schema === undefined && options === undefined ? (schemaOrOptions as Wait) : options
    const parsed = await this.#read(key, wait, (found, normalized) => ({
      normalized,
      value: parseJson(this.#text(normalized, found), this.namespace, normalized),
    }))
    if (parsed === null || schema === undefined) return parsed === null ? null : parsed.value
    return validateJson(schema, parsed.value, this.namespace, parsed.normalized)
  }

  entry(key: string, options?: Wait): Promise<Entry | null> {
    return this.#read(key, options, (found, normalized) => entryOf(normalized, found))
  }

  async stat(key: string, options?: Wait): Promise<Stat | null> {
    const normalized = this.#key(key)
    const signal = this.#signal(options)
    const head = await this.#host.head(this.namespace, normalized, signal)
    return head === null ? null : statOf(normalized, head)
  }

  write(key: string, value: Value, options?: WriteOptions & If): Promise<WriteResult> {
    // No async function: each one on the way of a write costs it more than its checks do.
    try {
      const normalized = this.#key(key)
      const { value: taken, size } = takeValue(
        value,
        normalized,
        this.#host.limits.valueBytesMax,
        this.#host.slab,
      )
      const terms = resolveWriteOptions(this.#defaults, options)
      const ifRevision = ifRevisionOf(options)
      const seen = this.#seenRevision(normalized, options)
      const operation = { kind: 'write', key: normalized, value: taken, size, ifRevision, seen } as const
      return this.#submit(operation, size, terms) as Promise<WriteResult>
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async writeJson(key: string, value: unknown, options?: WriteOptions & If): Promise<WriteResult> {
    return this.write(key, encodeJson(value), options)
  }

  async delete(key: string, options?: WriteOptions & If): Promise<DeleteResult> {
    const normalized = this.#key(key)
    const terms = resolveWriteOptions(this.#defaults, options)
    const ifRevision = ifRevisionOf(options)
    const seen = this.#seenRevision(normalized, options)
    const operation = { kind: 'delete', key: normalized, ifRevision, seen } as const
    return this.#submit(operation, 0, terms) as Promise<DeleteResult>
  }

  async update(
    key: string,
    fn: (value: string | null) => Next<Value | null>,
    options?: WriteOptions,
  ): Promise<WriteResult | DeleteResult | null> {
    checkFunction(fn, 'fn')
    const normalized = this.#key(key)
    return this.#update(normalized, options, async (found) =>
      fn(found === null ? null : this.#text(normalized, found)),
    )
  }

  async updateJson<S extends Schema>(
    key: string,
    schema: S,
    fn: (value: SchemaOutput<S> | null) => Next<SchemaOutput<S> | null>,
    options?: WriteOptions,
  ): Promise<WriteResult | DeleteResult | null> {
    if (!isSchema(schema)) throw noSchema()
    checkFunction(fn, 'fn')
    const normalized = this.#key(key)
    return this.#update(normalized, options, async (found) => {
      const json =
        found === null ? null : parseJson(this.#text(normalized, found), this.namespace, normalized)
      const value = found === null ? null : await validateJson(schema, json, this.namespace, normalized)
      const next = await fn(value)
      if (next === undefined) return undefined
      if (next === null) return null
      await validateJson(schema, next, this.namespace, normalized)
      return encodeJson(next)
    })
  }

  async batch<const O extends readonly Operation[]>(
    operations: O,
    options?: WriteOptions,
  ): Promise<Results<O>> {
    const terms = resolveUpdateOptions(this.#defaults, options)
    const requested = toOperations(operations, this.#host, (key) => this.#seen?.get(key))
    if (requested.operations.length === 0) {
      this.#host.checkOpen()
      if (terms.signal?.aborted === true) throw terms.signal.reason
      return [] as unknown as Results<O>
    }
    const body = { kind: 'change' as const, operations: requested.operations, single: false, terms }
    const send = (): Promise<RequestAnswer> => this.#send(body, requested.bytes, terms)
    const context = { namespace: this.namespace, operations: requested.operations.length }
    const answer = tracing.batch.hasSubscribers ? tracing.batch.tracePromise(send, context) : send()
    return (await answer) as unknown as Results<O>
  }

  async list(page?: Page): Promise<string[]> {
    const asked = checkPage(page)
    return this.#host.list(this.namespace, asked, asked?.signal ?? this.#defaults.signal)
  }

  entries(page?: Page): AsyncGenerator<Entry, void> {
    return this.#entries(checkPage(page))
  }

  async *#entries(page: Page | undefined): AsyncGenerator<Entry, void> {
    const keys = await this.list(page)
    const wait = page?.signal === undefined ? undefined : { signal: page.signal }
    for (let i = 0; i < keys.length; i += READ_AHEAD) {
      const ahead = keys.slice(i, i + READ_AHEAD).map((key) => this.#find(key, wait))
      for (const [index, found] of (await Promise.all(ahead)).entries()) {
        if (found === null) continue
        const key = keys[i + index]!
        // What was read ahead counts as seen when it is given.
        this.#seen?.set(key, found.head.revision)
        yield entryOf(key, found)
      }
    }
  }

  watch(options?: WatchOptions): AsyncIterable<WatchItem> {
    checkWatchOptions(options)
    const signal = options?.signal ?? this.#defaults.signal
    return this.#host.watch(this.namespace, { ...options, signal })
  }

  async writeHandoff(
    summary: Readonly<Record<string, unknown>>,
    options?: WriteOptions,
  ): Promise<WriteResult> {
    const document = buildHandoff({
      sessionId: this.namespace,
      root: this.#context.root,
      key: HANDOFF_KEY,
      summary,
      writer: this.writer,
      writtenAtS: Math.floor(this.#context.now() / 1000),
    })
    return this.write(HANDOFF_KEY, document, options)
  }

  async readHandoff(options?: Wait): Promise<Handoff | null> {
    const text = await this.read(HANDOFF_KEY, options)
    return text === null ? null : parseHandoff(text, this.namespace)
  }

  #send(body: RequestBody, bytes: number, terms: ResolvedDefaults): Promise<RequestAnswer> {
    return this.#host.submit(this.namespace, body, bytes, this.#seen, terms.signal)
  }

  #submit(operation: RequestedOperation, bytes: number, terms: ResolvedDefaults): Promise<OperationResult> {
    const body = { kind: 'change' as const, operations: [operation], single: true, terms }
    const channel = tracing[operation.kind]
    const answer = channel.hasSubscribers
      ? channel.tracePromise(() => this.#send(body, bytes, terms), {
          namespace: this.namespace,
          key: operation.key,
        })
      : this.#send(body, bytes, terms)
    return answer as Promise<OperationResult>
  }

  #update(
    key: string,
    options: WriteOptions | undefined,
    decide: (found: FoundEntry | null) => Promise<Value | null | undefined>,
  ): Promise<WriteResult | DeleteResult | null> {
    const terms = resolveUpdateOptions(this.#defaults, options)
    const step: UpdateStep = {
      terms,
      decide: (found) => {
        this.#saw(key, found)
        return decide(found)
      },
      submit: (value, found) => {
        const revision = found === null ? null : found.head.revision
        const conditions = { ifRevision: revision, seen: revision }
        if (value === null) return this.#submit({ kind: 'delete', key, ...conditions }, 0, terms)
        const taken = takeValue(value, key, this.#host.limits.valueBytesMax, this.#host.slab)
        return this.#submit({ kind: 'write', key, ...taken, ...conditions }, taken.size, terms)
      },
    }
    const update = (): Promise<WriteResult | DeleteResult | null> =>
      this.#host.update(this.namespace, key, terms.signal, step)
    if (!tracing.update.hasSubscribers) return update()
    return tracing.update.tracePromise(update, { namespace: this.namespace, key })
  }

  /** What this session saw of the key when it was called, or says that it saw. */
  #seenRevision(key: string, options: If | undefined): number | null | undefined {
    const said =
      options === undefined ? undefined : checkRevisionCondition(options.seenRevision, 'seenRevision')
    return said === undefined ? this.#seen?.get(key) : said
  }

  async #find(key: string, options: Wait | undefined): Promise<FoundEntry | null> {
    return this.#host.read(this.namespace, key, this.#signal(options))
  }

  /** What `give` makes of the entry; null for a missing key. No async function, as on the way of a write. */
  #read<T>(
    key: string,
    options: Wait | undefined,
    give: (found: FoundEntry, normalized: string) => T,
  ): Promise<T | null> {
    try {
      const normalized = this.#key(key)
      const reading = this.#host.read(this.namespace, normalized, this.#signal(options))
      const saw = (found: FoundEntry | null): T | null => {
        this.#saw(normalized, found)
        return found === null ? null : give(found, normalized)
      }
      return reading instanceof Promise ? reading.then(saw) : Promise.resolve(saw(reading))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #saw(key: string, found: FoundEntry | null): void {
    this.#seen?.set(key, found === null ? null : found.head.revision)
  }

  #signal(options: Wait | undefined): AbortSignal | undefined {
    return resolveSignal(options, this.#defaults.signal)
  }

  #key(key: string): string {
    return normalizeKey(key, this.#host.limits.keyBytesMax)
  }

  #text(key: string, found: FoundEntry): string {
    const text = decodeUtf8(found.value)
    if (text !== null) return text
    throw stateError('NOT_UTF8', `the value of key '${key}' is not UTF-8 text; readBytes() reads it`, {
      namespace: this.namespace,
      key,
    })
  }
}

function ifRevisionOf(options: If | undefined): number | null | undefined {
  return options === undefined ? undefined : checkRevisionCondition(options.ifRevision, 'ifRevision')
}

function statOf(key: string, head: KnownHead): Stat {
  const { revision, writer, size, updatedAtMs, external } = head
  return { key, revision, writer, size, updatedAtMs, external }
}

function entryOf(key: string, { head, value }: FoundEntry): Entry {
  return { ...statOf(key, head), value: copyOf(value) }
}

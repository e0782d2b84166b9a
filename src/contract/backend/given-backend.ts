/** What the tests of a raw backend start from: opened backends, a host that writes down what it is told, and plans. */
import { afterAll, onTestFinished } from 'vitest'
import type { Value, Writer } from '../../api.js'
import type {
  Backend,
  BackendHost,
  Change,
  CommitOutcome,
  Head,
  HeadAnswer,
  OpenAnswer,
  Plan,
  Unit,
} from '../../backend/backend.js'
import type { AgentStateError } from '../../errors.js'
import { DEFAULT_LIMITS } from '../../limits.js'
import { registrar, type Registrar } from '../given.js'
import type { BackendGapName, BackendSetup } from '../setup.js'

export interface Opened {
  readonly backend: Backend
  readonly answer: OpenAnswer
  readonly host: RecordingHost
}

export interface GivenBackend extends Registrar<BackendGapName> {
  /** A backend on fresh state, opened, closed after the test. */
  open(): Promise<Opened>
  /** Closes the backend, giving what its `close` answers. */
  close(opened: Opened, options: Parameters<Backend['close']>[0]): Promise<boolean>
  /** Closes the backend and opens its state again. */
  reopen(opened: Opened, closing?: { readonly flush: boolean }): Promise<Opened>
}

export function givenBackend(setup: BackendSetup): GivenBackend {
  const closed = new WeakSet<Backend>()
  afterAll(() => setup.cleanup?.())
  const openThis = async (backend: Backend): Promise<Opened> => {
    const host = new RecordingHost()
    const answer = await backend.open(host)
    onTestFinished(async () => {
      if (!closed.has(backend)) await backend.close({ flush: true })
    })
    return { backend, answer, host }
  }
  const close: GivenBackend['close'] = ({ backend }, options) => {
    closed.add(backend)
    return backend.close(options)
  }
  return {
    ...registrar(setup.gaps),
    open: async () => openThis(await setup.create()),
    close,
    async reopen(opened, closing = { flush: true }) {
      if (setup.reopen === undefined) throw new Error('the setup has no `reopen`')
      await close(opened, closing)
      const { backend } = opened
      const next = await setup.reopen(backend)
      closed.delete(next)
      return openThis(next)
    },
  }
}

export class RecordingHost implements BackendHost {
  readonly limits = DEFAULT_LIMITS
  readonly failures: AgentStateError[] = []
  readonly warnings: string[] = []
  readonly externals: string[] = []

  failed(error: AgentStateError): void {
    this.failures.push(error)
  }

  warning(code: string, message: string): void {
    this.warnings.push(`${code}: ${message}`)
  }

  external(namespace: string, key: string): void {
    this.externals.push(`${namespace}/${key}`)
  }
}

export const AT_MS = 1_790_000_000_123

export function write(key: string, value: Value, writer: Writer | null = null): Change {
  const bytes = Buffer.from(value as string)
  const writerAtS = writer === null ? null : Math.floor(AT_MS / 1000)
  return {
    kind: 'write',
    key,
    value: bytes,
    size: bytes.length,
    writer,
    writerAtS,
    anonymous: writer === null,
  }
}

export function remove(key: string): Change {
  return { kind: 'delete', key }
}

/** A plan that makes a namespace, with the changes of each further unit. */
export function creating(namespace: string, ...units: readonly (readonly Change[])[]): Plan {
  return planOf(namespace, [
    { kind: 'create' },
    ...units.map((changes): Unit => ({ kind: 'change', changes })),
  ])
}

export function changing(namespace: string, ...units: readonly (readonly Change[])[]): Plan {
  return planOf(
    namespace,
    units.map((changes): Unit => ({ kind: 'change', changes })),
  )
}

/** A plan with no expectations: what an exclusive backend never looks at. */
export function planOf(namespace: string, units: readonly Unit[], atMs = AT_MS): Plan {
  return { namespace, units, atMs, expected: new Map() }
}

/** Commits one plan and gives its first revision. Fails if it was not committed. */
export async function commit(backend: Backend, plan: Plan): Promise<number> {
  const outcomes = await backend.commit([plan])
  if (outcomes.length !== 1) throw new Error(`expected one outcome, got ${outcomes.length}`)
  return committedRevision(outcomes[0]!)
}

export function committedRevision(outcome: CommitOutcome): number {
  if (outcome.status === 'committed') return outcome.revision
  throw new Error(`expected 'committed', got '${outcome.status}'`, { cause: outcome })
}

/** The head, which must not be corrupt; null if the key is missing. */
export function plainHead(answer: HeadAnswer | undefined): Head | null {
  if (answer === undefined) throw new Error('no answer')
  if (answer !== null && 'corrupt' in answer) throw new Error(`corrupt: ${answer.corrupt}`)
  if (answer !== null && 'unreadable' in answer) throw answer.unreadable
  return answer
}

export async function headOf(backend: Backend, namespace: string, key: string): Promise<Head | null> {
  return plainHead((await backend.heads(namespace, [key]))[0])
}

/** The value as it is; null if the key is missing. */
export async function valueOf(backend: Backend, namespace: string, key: string): Promise<Uint8Array | null> {
  const [answer] = await backend.read(namespace, [key])
  if (answer?.error !== undefined) throw answer.error
  return answer?.value ?? null
}

export async function textOf(backend: Backend, namespace: string, key: string): Promise<string | null> {
  const value = await valueOf(backend, namespace, key)
  return value === null ? null : new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value)
}

export async function keysOf(backend: Backend, namespace: string): Promise<string[] | null> {
  const { exists, keys } = await backend.load(namespace)
  return exists ? [...keys].sort() : null
}

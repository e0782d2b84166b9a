/** What the options of `openStore` mean. */
import type { FileModes, OpenOptions } from './api.js'
import type { Backend } from './backend/backend.js'
import { checkBoolean, checkInteger, checkOptions, checkString, isPlainObject } from './check-options.js'
import { DEFAULT_LIMITS, LARGEST_LIMITS, type Limits } from './limits.js'
import { quoteText, typeName } from './messages.js'
import { BASE_DEFAULTS, DEFAULTS_NAMES, mergeDefaults, type ResolvedDefaults } from './options.js'
import { isWellFormed } from './utf8.js'

/** Beyond, Node's timers fire at once. */
const WAIT_MS_MAX = 2 ** 31 - 1
const WORKERS_MAX = 64

/** Every setting of an opening, none absent. */
export type OpenSettings = {
  readonly defaults: ResolvedDefaults
  readonly limits: Limits
} & (FileSettings | BackendSettings)

export interface FileSettings {
  readonly kind: 'file'
  readonly root: string
  readonly ownerWaitMs: number
  readonly workers: number
  /** Null: the entry that comes with the package. */
  readonly workerUrl: URL | null
  readonly mode: FileModes
  readonly ownThread: boolean
  /** Null: the entry that comes with the package. */
  readonly threadUrl: URL | null
  /** Whether other processes can connect. */
  readonly socket: boolean
}

export interface BackendSettings {
  readonly kind: 'backend'
  readonly backend: Backend
}

const DEFAULT_MODE: FileModes = Object.freeze({ file: 0o600, directory: 0o700 })

const COMMON_NAMES = [...DEFAULTS_NAMES, 'limits', 'root', 'backend']
const BACKEND_OPEN: ReadonlySet<string> = new Set(COMMON_NAMES)
const FILE_OPEN: ReadonlySet<string> = new Set([
  ...COMMON_NAMES,
  'ownerWaitMs',
  'workers',
  'workerUrl',
  'mode',
  'ownThread',
  'threadUrl',
  'socket',
])
const MODE: ReadonlySet<string> = new Set(['file', 'directory'])
const LIMITS: ReadonlySet<string> = new Set(Object.keys(DEFAULT_LIMITS))

const BACKEND_METHODS = [
  'open',
  'ready',
  'commit',
  'allocateRevision',
  'namespaces',
  'load',
  'heads',
  'read',
  'materialized',
  'flush',
  'close',
] as const satisfies readonly (keyof Backend)[]

/** Checks the options of `openStore` and fills in what is absent. */
export function checkOpenOptions(options: OpenOptions): OpenSettings {
  if (!isPlainObject(options)) {
    throw new TypeError(`openStore takes an object with a root or a backend, not ${typeName(options)}`)
  }
  if (options.root !== undefined && options.backend !== undefined) {
    throw new TypeError('openStore takes a root or a backend, not both')
  }
  if (options.backend !== undefined && (options as { ownThread?: unknown }).ownThread === true) {
    throw new TypeError('openStore: with ownThread a root is needed, for a backend stays in its thread')
  }
  checkOptions(options, options.backend === undefined ? FILE_OPEN : BACKEND_OPEN, 'openStore')
  const defaults = mergeDefaults(BASE_DEFAULTS, options)
  const limits = resolveLimits(options.limits)
  if (options.backend !== undefined) {
    return { kind: 'backend', defaults, limits, backend: checkBackend(options.backend) }
  }
  const { root, ownerWaitMs, workers, workerUrl, mode, ownThread, threadUrl, socket } = options
  return {
    kind: 'file',
    defaults,
    limits,
    root: checkRoot(root),
    ownerWaitMs: ownerWaitMs === undefined ? 0 : checkInteger(ownerWaitMs, 'ownerWaitMs', 0, WAIT_MS_MAX),
    workers: workers === undefined ? 4 : checkInteger(workers, 'workers', 1, WORKERS_MAX),
    workerUrl: workerUrl === undefined ? null : checkUrl(workerUrl, 'workerUrl'),
    mode: mode === undefined ? DEFAULT_MODE : checkMode(mode),
    ownThread: ownThread === undefined ? false : checkBoolean(ownThread, 'ownThread'),
    threadUrl: threadUrl === undefined ? null : checkUrl(threadUrl, 'threadUrl'),
    socket: socket === undefined ? true : checkBoolean(socket, 'socket'),
  }
}

/** The default limits with those given in place of them. */
export function resolveLimits(partial: Partial<Limits> | undefined): Limits {
  if (partial === undefined) return DEFAULT_LIMITS
  checkOptions(partial, LIMITS, 'limits')
  const limits: Record<keyof Limits, number> = { ...DEFAULT_LIMITS }
  for (const name of Object.keys(DEFAULT_LIMITS) as (keyof Limits)[]) {
    const value: unknown = partial[name]
    if (value === undefined) continue
    limits[name] = name.endsWith('Ms')
      ? checkInteger(value, `limits.${name}`, 0, WAIT_MS_MAX)
      : checkInteger(value, `limits.${name}`, 1, (LARGEST_LIMITS as Partial<Limits>)[name])
  }
  return Object.freeze(limits)
}

/** Throws unless it can be the path of a root. */
export function checkRoot(value: unknown): string {
  const root = checkString(value, 'root')
  if (root === '') throw new RangeError('root must not be empty')
  if (root.includes('\0')) throw new RangeError(`root ${quoteText(root)} must not contain a NUL character`)
  if (!isWellFormed(root)) throw new RangeError(`root ${quoteText(root)} must not contain a lone surrogate`)
  return root
}

function checkBackend(value: unknown): Backend {
  if (typeof value !== 'object' || value === null) {
    throw new TypeError(`backend must be an object, not ${typeName(value)}`)
  }
  const backend = value as Partial<Backend>
  const missing = BACKEND_METHODS.find((method) => typeof backend[method] !== 'function')
  if (missing !== undefined)
    throw new TypeError(`backend has no method ${missing}(), which every backend has`)
  return value as Backend
}

/** Told by its tag, since another realm has a class of its own. */
function checkUrl(value: unknown, what: string): URL {
  if (Object.prototype.toString.call(value) === '[object URL]') return value as URL
  throw new TypeError(`${what} must be a URL object, not ${typeName(value)}`)
}

/** The store must be able to use what it makes, so the owner's own permissions can't be taken away. */
function checkMode(value: unknown): FileModes {
  checkOptions(value, MODE, 'mode')
  const { file, directory } = value as { readonly file: unknown; readonly directory: unknown }
  return Object.freeze({
    file: checkPermissions(file, 'mode.file', 0o600),
    directory: checkPermissions(directory, 'mode.directory', 0o700),
  })
}

function checkPermissions(value: unknown, what: string, needed: number): number {
  const bits = checkInteger(value, what, 0, 0o777)
  if ((bits & needed) === needed) return bits
  throw new RangeError(`${what} must include 0o${needed.toString(8)}, but is 0o${bits.toString(8)}`)
}

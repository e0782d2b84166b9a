/** What the options of a call mean: defaults of the store, of the session and of the call, the narrowest first. */
import type {
  CloseOptions,
  ConflictPolicy,
  ConflictRule,
  Defaults,
  Durability,
  Filter,
  If,
  Page,
  Wait,
  WatchOptions,
  WriteOptions,
  Writer,
} from './api.js'
import {
  checkBoolean,
  checkChoice,
  checkFunction,
  checkInteger,
  checkOptions,
  checkSignal,
  checkString,
} from './check-options.js'
import { checkConflictPolicy } from './conflict-policy.js'
import { normalizeWriter } from './writer.js'

export { checkOptions } from './check-options.js'

/** Every default of a write, none absent. */
export interface ResolvedDefaults {
  readonly writer: Writer | null
  readonly conflictPolicy: ConflictPolicy
  readonly detect: ConflictRule
  readonly durability: Durability
  readonly repairMetadata: boolean
  readonly signal: AbortSignal | undefined
}

export const BASE_DEFAULTS: ResolvedDefaults = Object.freeze({
  writer: null,
  conflictPolicy: 'ignore',
  detect: 'lost-update',
  durability: 'journal',
  repairMetadata: false,
  signal: undefined,
})

const CONFLICT_RULES: readonly ConflictRule[] = ['lost-update', 'writer-change']
const DURABILITIES: readonly Durability[] = ['journal', 'tree']

const WAIT_NAMES = ['signal'] as const satisfies readonly (keyof Wait)[]
const UPDATE_NAMES = [
  ...WAIT_NAMES,
  'conflictPolicy',
  'detect',
  'durability',
  'repairMetadata',
] as const satisfies readonly (keyof WriteOptions)[]
const FILTER_NAMES = [...WAIT_NAMES, 'namespace'] as const satisfies readonly (keyof Filter)[]
const PAGE_NAMES = [
  ...WAIT_NAMES,
  'prefix',
  'after',
  'limit',
  'reverse',
] as const satisfies readonly (keyof Page)[]
const WATCH_NAMES = [
  ...WAIT_NAMES,
  'prefix',
  'afterRevision',
  'initial',
] as const satisfies readonly (keyof WatchOptions)[]
const CLOSE_NAMES = [...WAIT_NAMES, 'flush', 'onProgress'] as const satisfies readonly (keyof CloseOptions)[]

const WAIT: ReadonlySet<string> = new Set(WAIT_NAMES)
const UPDATE: ReadonlySet<string> = new Set(UPDATE_NAMES)
const WRITE: ReadonlySet<string> = new Set([...UPDATE_NAMES, 'ifRevision', 'seenRevision'])
const PAGE: ReadonlySet<string> = new Set(PAGE_NAMES)
const WATCH: ReadonlySet<string> = new Set(WATCH_NAMES)
const CLOSE: ReadonlySet<string> = new Set(CLOSE_NAMES)
const FILTER: ReadonlySet<string> = new Set(FILTER_NAMES)

/** Names of `Defaults`, for those who take them among others. */
export const DEFAULTS_NAMES: readonly string[] = [...UPDATE_NAMES, 'writer']
const DEFAULTS: ReadonlySet<string> = new Set(DEFAULTS_NAMES)

/**
 * What is given narrowly replaces the wider setting whole: a writer is not mixed from two. `writer: {}` means nobody;
 * an absent or undefined setting leaves the wider one.
 */
export function resolveDefaults(wide: ResolvedDefaults, narrow: Defaults | undefined): ResolvedDefaults {
  if (narrow === undefined) return wide
  checkOptions(narrow, DEFAULTS, 'defaults')
  return mergeDefaults(wide, narrow)
}

/** As `resolveDefaults`, for an object that has other names too and was checked for them. */
export function mergeDefaults(wide: ResolvedDefaults, narrow: Defaults): ResolvedDefaults {
  if (narrow.writer === null) throw new TypeError('writer must be an object, not null; {} stands for nobody')
  const writer = narrow.writer === undefined ? wide.writer : normalizeWriter(narrow.writer)
  return Object.freeze(merge(wide, narrow, writer))
}

/** The options of `write`, `writeJson`, `delete`; its conditions are left to `checkRevisionCondition`. */
export function resolveWriteOptions(
  defaults: ResolvedDefaults,
  options: (WriteOptions & If) | undefined,
): ResolvedDefaults {
  if (options === undefined) return defaults
  checkOptions(options, WRITE, 'options')
  return merge(defaults, options, defaults.writer)
}

/** The options of `update`, `batch` and `writeHandoff`, which have no conditions. */
export function resolveUpdateOptions(
  defaults: ResolvedDefaults,
  options: WriteOptions | undefined,
): ResolvedDefaults {
  if (options === undefined) return defaults
  checkOptions(options, UPDATE, 'options')
  return merge(defaults, options, defaults.writer)
}

function merge(wide: ResolvedDefaults, narrow: WriteOptions, writer: Writer | null): ResolvedDefaults {
  const { conflictPolicy, detect, durability, repairMetadata, signal } = narrow
  return {
    writer,
    conflictPolicy: conflictPolicy === undefined ? wide.conflictPolicy : checkConflictPolicy(conflictPolicy),
    detect: detect === undefined ? wide.detect : checkChoice(detect, 'detect', CONFLICT_RULES),
    durability:
      durability === undefined ? wide.durability : checkChoice(durability, 'durability', DURABILITIES),
    repairMetadata:
      repairMetadata === undefined ? wide.repairMetadata : checkBoolean(repairMetadata, 'repairMetadata'),
    signal: signal === undefined ? wide.signal : checkSignal(signal, 'signal'),
  }
}

/** Returns the condition: undefined for nothing said, null for "the key is missing", or a revision. */
export function checkRevisionCondition(
  value: unknown,
  what: 'ifRevision' | 'seenRevision' = 'ifRevision',
): number | null | undefined {
  if (value === undefined || value === null) return value
  return checkInteger(value, what, 0)
}

/** Checks the options of a call that can only be waited for; returns its signal, or else the default one. */
export function resolveSignal(
  options: Wait | undefined,
  fallback: AbortSignal | undefined,
): AbortSignal | undefined {
  if (options === undefined) return fallback
  checkOptions(options, WAIT, 'options')
  return options.signal === undefined ? fallback : checkSignal(options.signal, 'signal')
}

/** What was checked: the caller's own may change before it is used. */
export function checkPage(page: Page | undefined): Page | undefined {
  if (page === undefined) return undefined
  checkOptions(page, PAGE, 'page')
  const { prefix, after, limit, reverse, signal } = page
  if (prefix !== undefined) checkString(prefix, 'prefix')
  if (after !== undefined) checkString(after, 'after')
  if (limit !== undefined) checkInteger(limit, 'limit', 1)
  if (reverse !== undefined) checkBoolean(reverse, 'reverse')
  if (signal !== undefined) checkSignal(signal, 'signal')
  return { prefix, after, limit, reverse, signal }
}

export function checkWatchOptions(options: WatchOptions | undefined): void {
  if (options === undefined) return
  checkOptions(options, WATCH, 'options')
  const { prefix, afterRevision, initial, signal } = options
  if (prefix !== undefined) checkString(prefix, 'prefix')
  if (afterRevision !== undefined) checkInteger(afterRevision, 'afterRevision', 0)
  if (initial !== undefined) checkBoolean(initial, 'initial')
  if (signal !== undefined) checkSignal(signal, 'signal')
}

export function checkFilter(filter: Filter | undefined): void {
  if (filter === undefined) return
  checkOptions(filter, FILTER, 'filter')
  const { namespace, signal } = filter
  if (namespace !== undefined) checkString(namespace, 'namespace')
  if (signal !== undefined) checkSignal(signal, 'signal')
}

export function checkCloseOptions(options: CloseOptions | undefined): void {
  if (options === undefined) return
  checkOptions(options, CLOSE, 'options')
  const { flush, onProgress, signal } = options
  if (flush !== undefined) checkBoolean(flush, 'flush')
  if (onProgress !== undefined) checkFunction(onProgress, 'onProgress')
  if (signal !== undefined) checkSignal(signal, 'signal')
}

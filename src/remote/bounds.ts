/** What a connection may do. Checked where the caller is, for a good message, and at the host, which trusts nobody. */
import type { PortBounds, Writer } from '../api.js'
import { checkBoolean, checkOptions } from '../check-options.js'
import { stateError } from '../errors.js'
import { quoteText, typeName } from '../messages.js'
import { validateNamespace } from '../namespace.js'
import { displayName, normalizeWriter } from '../writer.js'

const NAMES: ReadonlySet<string> = new Set(['namespaces', 'readOnly', 'writer'])

/** That a port can be bound to. */
export const NAMESPACES_MAX = 10_000

export interface Bounds {
  /** Null: all. */
  readonly namespaces: ReadonlySet<string> | null
  readonly readOnly: boolean
  /** Null: anybody. */
  readonly writer: Writer | null
}

export const UNBOUNDED: Bounds = Object.freeze({ namespaces: null, readOnly: false, writer: null })

/** The bounds that were asked for, within those of who asks. Asking for another fixed writer is `NOT_ALLOWED`. */
export function narrowBounds(wide: Bounds, asked: PortBounds | undefined): Bounds {
  checkOptions(asked, NAMES, 'bounds')
  const { namespaces, readOnly, writer } = asked ?? {}
  const names = namespaces === undefined ? null : checkNamespaces(namespaces)
  const fixed = writer === undefined ? null : checkFixedWriter(writer)
  if (fixed !== null) checkWriter(wide, fixed)
  return {
    namespaces: intersection(wide.namespaces, names),
    readOnly: (readOnly !== undefined && checkBoolean(readOnly, 'bounds.readOnly')) || wide.readOnly,
    writer: wide.writer ?? fixed,
  }
}

export function allowsNamespace(bounds: Bounds, namespace: string): boolean {
  return bounds.namespaces === null || bounds.namespaces.has(namespace)
}

export function checkNamespace(bounds: Bounds, namespace: string): void {
  if (allowsNamespace(bounds, namespace)) return
  throw stateError('NOT_ALLOWED', `namespace ${quoteText(namespace)} is out of this connection's bounds`, {
    namespace,
  })
}

export function checkWritable(bounds: Bounds): void {
  if (bounds.readOnly) throw stateError('NOT_ALLOWED', 'this connection may read only', {})
}

/** Throws unless whoever is bound so may write as this one. */
export function checkWriter(bounds: Bounds, writer: Writer | null): void {
  if (bounds.writer === null || isSameWriter(bounds.writer, writer)) return
  const bound = displayName(bounds.writer)
  throw stateError('NOT_ALLOWED', `this connection writes as '${bound}' and as nobody else`, {})
}

function isSameWriter(a: Writer, b: Writer | null): boolean {
  return (
    a.writerId === b?.writerId &&
    a.stageId === b?.stageId &&
    a.sessionId === b?.sessionId &&
    a.workerId === b?.workerId
  )
}

function checkNamespaces(namespaces: unknown): ReadonlySet<string> {
  if (!Array.isArray(namespaces)) {
    throw new TypeError(`bounds.namespaces must be an array, not ${typeName(namespaces)}`)
  }
  if (namespaces.length > NAMESPACES_MAX) {
    throw new RangeError(`bounds.namespaces may have ${NAMESPACES_MAX} names, not ${namespaces.length}`)
  }
  return new Set(namespaces.map((name) => validateNamespace(name)))
}

function checkFixedWriter(writer: unknown): Writer {
  const fixed = writer === null ? null : normalizeWriter(writer)
  if (fixed === null) throw new TypeError('bounds.writer must name somebody')
  return fixed
}

function intersection(
  a: ReadonlySet<string> | null,
  b: ReadonlySet<string> | null,
): ReadonlySet<string> | null {
  if (a === null || b === null) return a ?? b
  return new Set([...a].filter((name) => b.has(name)))
}

/** Checks of what callers pass. They throw `TypeError` for a wrong type, `RangeError` for a value out of bounds. */
import { quoteText, suggestName, typeName } from './messages.js'

/**
 * Throws `TypeError` unless the argument is undefined or a plain object with no other names than the known ones. `what`
 * names the argument in the message.
 */
export function checkOptions(
  options: unknown,
  known: ReadonlySet<string> | readonly string[],
  what: string,
): void {
  if (options === undefined) return
  if (!isPlainObject(options)) throw new TypeError(`${what} must be a plain object, not ${typeName(options)}`)
  for (const name in options) {
    if (!isKnown(name, known) && Object.hasOwn(options, name)) {
      throw new TypeError(`${what}: unknown name ${quoteText(name)}; ${suggestName(name, known)}`)
    }
  }
}

function isKnown(name: string, known: ReadonlySet<string> | readonly string[]): boolean {
  return 'has' in known ? known.has(name) : known.includes(name)
}

/** Of any realm: an object without a prototype, or whose prototype has none. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) return true
  return Object.getPrototypeOf(prototype) === null
}

export function checkString(value: unknown, what: string): string {
  if (typeof value !== 'string') throw new TypeError(`${what} must be a string, not ${typeName(value)}`)
  return value
}

export function checkBoolean(value: unknown, what: string): boolean {
  if (typeof value !== 'boolean') throw new TypeError(`${what} must be true or false, not ${typeName(value)}`)
  return value
}

/** An integer that JavaScript holds exactly, from `min` to `max`. */
export function checkInteger(
  value: unknown,
  what: string,
  min: number,
  max = Number.MAX_SAFE_INTEGER,
): number {
  if (typeof value !== 'number') throw new TypeError(`${what} must be a number, not ${typeName(value)}`)
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw new RangeError(`${what} must be an integer from ${min} to ${max}, not ${value}`)
  }
  return value
}

/** One of the names, exactly. */
export function checkChoice<T extends string>(value: unknown, what: string, choices: readonly T[]): T {
  const text = checkString(value, what)
  const chosen = choices.find((choice) => choice === text)
  if (chosen !== undefined) return chosen
  throw new RangeError(`${what}: unknown value ${quoteText(text)}; ${suggestName(text, choices)}`)
}

/** Told by what it can do, since a signal may come from another realm or a polyfill. */
export function checkSignal(value: unknown, what: string): AbortSignal {
  const signal = value as AbortSignal | null
  if (
    typeof signal === 'object' &&
    signal !== null &&
    typeof signal.aborted === 'boolean' &&
    typeof signal.addEventListener === 'function' &&
    typeof signal.removeEventListener === 'function'
  ) {
    return signal
  }
  throw new TypeError(`${what} must be an AbortSignal, not ${typeName(value)}`)
}

export function checkFunction(value: unknown, what: string): void {
  if (typeof value !== 'function') throw new TypeError(`${what} must be a function, not ${typeName(value)}`)
}

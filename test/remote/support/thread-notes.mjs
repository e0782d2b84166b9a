/** What a thread of agents notes in shared memory, and what it writes. */
export const ASKED = 1
export const ACKNOWLEDGED = 2
/** Unchanged, as it was told. */
export const REFUSED = 3

export const COUNTER = {
  ACKNOWLEDGED: 0,
  UPDATES_ASKED: 1,
  UPDATES_ACKNOWLEDGED: 2,
  EVENTS: 3,
  WATCHED: 4,
  /** A thread sleeps on it until a test sets it, or the other way round. */
  AWAKE: 5,
}
export const COUNTERS = 6

/**
 * Now and then one that crosses in a buffer of its own.
 * @param {string} name
 * @param {number} index
 */
export function valueOf(name, index) {
  return `${name} ${index} `.repeat(index % 300 === 299 ? 10_000 : 5)
}

/** Few keys, written again and again: what is looked at afterwards is small. */
export const KEYS = 100

/**
 * @param {string} name
 * @param {number} index
 */
export function keyOf(name, index) {
  return `${name}/${index % KEYS}`
}

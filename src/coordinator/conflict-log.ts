/**
 * ConflictLog owns the last conflicts that were published, for those who come later: who overwrote whom on which keys,
 * refused changes too. It is bounded (I9), written now and then and when the store closes, and is no state of the store:
 * a crash may cost the last seconds of it, and a failure to write it changes nothing but a warning.
 */
import type { ConflictEvent } from '../api.js'
import type { Backend } from '../backend/backend.js'

const SAVE_MS = 5000

export class ConflictLog {
  readonly #max: number
  readonly #backend: Backend
  readonly #warn: (message: string) => void
  /** Ring of the last ones of this opening. */
  readonly #events: ConflictEvent[] = []
  #next = 0
  /** Of earlier openings, oldest first; asked for when it is first needed. */
  #earlier: Promise<readonly ConflictEvent[]> | null = null
  #timer: NodeJS.Timeout | null = null
  #saving: Promise<void> = Promise.resolve()
  #hasWarned = false

  constructor(max: number, backend: Backend, warn: (message: string) => void) {
    this.#max = max
    this.#backend = backend
    this.#warn = warn
  }

  add(event: ConflictEvent): void {
    if (this.#events.length < this.#max) {
      this.#events.push(event)
    } else if (this.#max > 0) {
      this.#events[this.#next] = event
      this.#next = (this.#next + 1) % this.#max
    }
    if (this.#timer !== null || this.#backend.saveConflicts === undefined) return
    this.#timer = setTimeout(() => void this.save(), SAVE_MS)
    this.#timer.unref()
  }

  /** Oldest first. */
  async entries(): Promise<readonly ConflictEvent[]> {
    const earlier = await this.#loaded()
    const own = [...this.#events.slice(this.#next), ...this.#events.slice(0, this.#next)]
    return [...earlier, ...own].slice(-this.#max).map((event) => ({ ...event }))
  }

  /** Writes what was added since it was last written. Never rejects. */
  save(): Promise<void> {
    if (this.#timer === null) return this.#saving
    clearTimeout(this.#timer)
    this.#timer = null
    this.#saving = this.#saving.then(() => this.#save()).catch((error: unknown) => this.#failed(error))
    return this.#saving
  }

  /** What could not be read is asked for again the next time, and is not written over meanwhile. */
  #loaded(): Promise<readonly ConflictEvent[]> {
    this.#earlier ??= this.#load().catch((error: unknown) => {
      this.#earlier = null
      throw error
    })
    return this.#earlier
  }

  async #save(): Promise<void> {
    const entries = await this.entries()
    await this.#backend.saveConflicts?.(entries.map((event) => JSON.stringify(event)))
  }

  async #load(): Promise<readonly ConflictEvent[]> {
    const lines = (await this.#backend.loadConflicts?.()) ?? []
    return lines.flatMap(parseEvent).slice(-this.#max)
  }

  #failed(error: unknown): void {
    if (this.#hasWarned) return
    this.#hasWarned = true
    this.#warn(`the log of past conflicts could not be written: ${String(error)}`)
  }
}

/** A line that is none of ours, or was edited by hand, is left out. */
function parseEvent(line: string): ConflictEvent[] {
  try {
    const event = JSON.parse(line) as ConflictEvent
    const { namespace, key, atMs, current, previous } = event
    const hasNames = typeof namespace === 'string' && typeof key === 'string' && typeof atMs === 'number'
    const hasWriters = isWriter(current) && (previous === null || isWriter(previous))
    return hasNames && hasWriters ? [event] : []
  } catch {
    return []
  }
}

function isWriter(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

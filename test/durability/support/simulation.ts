/**
 * Simulation owns time. While it runs, timers, immediates and clocks are its own: nothing waits for real time to pass, and
 * what happens next follows from the seed. The outside world (a disk, a worker) answers through `later`.
 *
 * When a promise is waited for and nothing can happen any more that would settle it, that is a deadlock, and said at
 * once (I11). A timer that was unref'd counts as nothing: it keeps no process alive, so nobody may have to wait for it.
 */
import { performance } from 'node:perf_hooks'
import type { Random } from './random.js'

interface Event {
  readonly atMs: number
  readonly order: number
  readonly act: () => void
  /** Whether a process would stay alive for it. */
  keepsAlive: boolean
}

const realImmediate = globalThis.setImmediate
const START_MS = 1_795_369_429_000
/** Nothing that is simulated takes nearly as long, in simulated time: disks hang for hours. */
const ENDLESS_MS = 7 * 24 * 3_600_000

export class Simulation {
  readonly #random: Random
  readonly #events = new Set<Event>()
  #nowMs = 0
  #order = 0

  constructor(random: Random) {
    this.#random = random
  }

  /** Carries out `act` in simulated time, and waits for what it returns. */
  async run<T>(act: () => Promise<T>): Promise<T> {
    const restore = this.#install()
    try {
      return await this.#until(act(), this.#nowMs + ENDLESS_MS)
    } finally {
      restore()
    }
  }

  /** Does something after a while that is drawn anew each time: mostly short, now and then seconds. */
  later<T>(act: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#add(this.#delayMs(), () => {
        try {
          resolve(act())
        } catch (error) {
          reject(error)
        }
      })
    })
  }

  #delayMs(): number {
    const kind = this.#random.below(100)
    if (kind < 75) return this.#random.next()
    return this.#random.next() * (kind < 97 ? 20 : 2000)
  }

  async #until<T>(promise: Promise<T>, endMs: number): Promise<T> {
    let settled = false
    const settle = (): void => {
      settled = true
    }
    promise.then(settle, settle)
    for (;;) {
      // Everything that follows from what has happened so far, promise by promise.
      await new Promise<void>((resolve) => realImmediate(resolve))
      if (settled) return promise
      if (this.#nowMs > endMs) throw new Error('I11: it goes on for ever, and settles nothing')
      this.#step()
    }
  }

  #step(): void {
    let next: Event | null = null
    let keepsAlive = false
    for (const event of this.#events) {
      keepsAlive ||= event.keepsAlive
      if (next === null || event.atMs < next.atMs || (event.atMs === next.atMs && event.order < next.order))
        next = event
    }
    if (next === null || !keepsAlive) {
      throw new Error('I11: a promise is waited for, but nothing can happen any more that would settle it')
    }
    this.#events.delete(next)
    this.#nowMs = Math.max(this.#nowMs, next.atMs)
    next.act()
  }

  #add(delayMs: number, act: () => void): Event {
    const event = { atMs: this.#nowMs + delayMs, order: this.#order++, act, keepsAlive: true }
    this.#events.add(event)
    return event
  }

  #install(): () => void {
    const replacements: readonly (readonly [object, string, unknown])[] = [
      [globalThis, 'setTimeout', (act: () => void, delayMs = 0) => new Timer(this, act, delayMs)],
      [globalThis, 'clearTimeout', (timer: unknown) => timer instanceof Timer && timer.clear()],
      [globalThis, 'setImmediate', (act: () => void) => this.#add(0, act)],
      [Date, 'now', () => START_MS + Math.floor(this.#nowMs)],
      [performance, 'now', () => this.#nowMs],
    ]
    const restores = replacements.map(([owner, name, value]) => replace(owner, name, value))
    return () => {
      for (const restore of restores) restore()
    }
  }

  /** For timers only. */
  addTimer(delayMs: number, act: () => void): { remove(): void; keepAlive(keeps: boolean): void } {
    const event = this.#add(Math.max(1, delayMs), act)
    return {
      remove: () => this.#events.delete(event),
      keepAlive: (keeps) => {
        event.keepsAlive = keeps
      },
    }
  }
}

/** As what `setTimeout` gives. */
class Timer {
  readonly #simulation: Simulation
  readonly #act: () => void
  readonly #delayMs: number
  #keepsAlive = true
  #pending: ReturnType<Simulation['addTimer']>

  constructor(simulation: Simulation, act: () => void, delayMs: number) {
    this.#simulation = simulation
    this.#act = act
    this.#delayMs = delayMs
    this.#pending = simulation.addTimer(delayMs, act)
  }

  clear(): void {
    this.#pending.remove()
  }

  refresh(): this {
    this.#pending.remove()
    this.#pending = this.#simulation.addTimer(this.#delayMs, this.#act)
    this.#pending.keepAlive(this.#keepsAlive)
    return this
  }

  ref(): this {
    return this.#keepAlive(true)
  }

  unref(): this {
    return this.#keepAlive(false)
  }

  #keepAlive(keeps: boolean): this {
    this.#keepsAlive = keeps
    this.#pending.keepAlive(keeps)
    return this
  }
}

function replace(owner: object, name: string, value: unknown): () => void {
  const before = Object.getOwnPropertyDescriptor(owner, name)
  Object.defineProperty(owner, name, { configurable: true, writable: true, value })
  return () => {
    if (before === undefined) Reflect.deleteProperty(owner, name)
    else Object.defineProperty(owner, name, before)
  }
}

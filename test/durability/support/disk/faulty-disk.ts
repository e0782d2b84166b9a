/**
 * A disk whose calls fail: the n-th of one kind, or all from there on. What a failing call leaves behind is what real ones
 * leave: a write has written a part, a sync has made nothing certain for ever, a close has closed.
 */
import { systemError, type FileSystem } from '../../../../src/backend/file/file-system.js'
import { countOf } from '../../../helpers/tally.js'
import { placeOf } from '../protocol-step.js'
import type { Random } from '../random.js'
import { ROOT } from './machine.js'
import type { SimulatedDisk } from './simulated-disk.js'

export interface Fault {
  /** Call and place, such as `rename content`; see `CallCounter`. */
  readonly call: string
  /** 1 is the first call. */
  readonly count: number
  readonly forEver: boolean
  /**
   * A system's error code; `SHORT`: a write takes only a part of the bytes, which is no error; `DEATH`: the worker that
   * makes the call dies before it, so it applies to workers only.
   */
  readonly code: string
}

/** Says of each call, by name and place, whether it fails: with which code, or null. */
export interface Trouble {
  next(call: string): string | null
}

/** Counts the calls of each kind, and says which of them fail. */
export class Faults implements Trouble {
  readonly counts = new Map<string, number>()
  /** How many calls have failed. */
  failed = 0
  readonly #fault: Fault | null
  #repaired = false
  /** Nothing fails, and nothing is counted. */
  isPaused = false

  constructor(fault: Fault | null) {
    this.#fault = fault
  }

  /** From here on nothing fails any more. */
  repair(): void {
    this.#repaired = true
  }

  /** Null: the call goes through. */
  next(call: string): string | null {
    if (this.isPaused) return null
    const count = (this.counts.get(call) ?? 0) + 1
    this.counts.set(call, count)
    const fault = this.#fault
    if (this.#repaired || fault === null || fault.call !== call) return null
    if (fault.forEver ? count < fault.count : count !== fault.count) return null
    this.failed++
    return fault.code
  }
}

/** `died`: gets the tasks whose workers die; no call of such a task does anything any more. */
export function faultyDisk(disk: SimulatedDisk, faults: Trouble, died = new Set<number>()): FileSystem {
  const paths = new Map<number, string>()

  function next(call: string): string | null {
    const { task } = disk
    if (task !== null && died.has(task)) throw new Error('this worker is dead')
    const code = faults.next(call)
    if (code !== null) countOf('faults injected', 1)
    if (code !== 'DEATH') return code
    if (task === null) return null
    died.add(task)
    throw new Error('the worker dies here')
  }

  function check(name: string, path: string): void {
    const code = next(`${name} ${placeOf(ROOT, path)}`)
    if (code !== null && code !== 'SHORT') throw systemError(code, `made to fail: ${name} ${path}`)
  }

  function before<A extends [string, ...unknown[]], T>(
    name: string,
    act: (...args: A) => T,
  ): (...args: A) => T {
    return (...args) => {
      check(name, args[0])
      return act(...args)
    }
  }

  function beforeOn<A extends [number, ...unknown[]], T>(
    name: string,
    act: (...args: A) => T,
  ): (...args: A) => T {
    return (...args) => {
      check(name, paths.get(args[0]) ?? '')
      return act(...args)
    }
  }

  /** How many bytes of a write go through; the error that follows them. */
  function limit(name: string, fd: number, length: number): { bytes: number; error: Error | null } {
    const path = paths.get(fd) ?? ''
    const code = next(`${name} ${placeOf(ROOT, path)}`)
    if (code === null) return { bytes: length, error: null }
    const bytes = code === 'SHORT' ? Math.ceil(length / 2) : Math.floor(length / 2)
    return { bytes, error: code === 'SHORT' ? null : systemError(code, `made to fail: ${name} ${path}`) }
  }

  function failSync(name: string, fd: number): void {
    try {
      check(name, paths.get(fd) ?? '')
    } catch (error) {
      if (!('code' in (error as Error))) throw error
      disk.failSync(fd)
      throw error
    }
  }

  return {
    open(path, how, mode) {
      const creates = how === 'create-exclusive' || (how === 'read-write-create' && disk.lstat(path) === null)
      check(creates ? 'create' : 'open', path)
      const fd = disk.open(path, how, mode)
      paths.set(fd, path)
      return fd
    },
    close(fd) {
      disk.close(fd)
      check('close', paths.get(fd) ?? '')
    },
    write(fd, buffer, offset, length, position) {
      const { bytes, error } = limit('write', fd, length)
      if (bytes > 0) disk.write(fd, buffer, offset, bytes, position)
      if (error !== null) throw error
      return bytes
    },
    async writeAsync(fd, buffer, offset, length, position) {
      const { bytes, error } = limit('writeAsync', fd, length)
      if (bytes > 0) await disk.writeAsync(fd, buffer, offset, bytes, position)
      if (error !== null) throw error
      return bytes
    },
    sync(fd) {
      failSync('sync', fd)
      disk.sync(fd)
    },
    datasync(fd) {
      failSync('datasync', fd)
      disk.datasync(fd)
    },
    async datasyncAsync(fd) {
      failSync('datasyncAsync', fd)
      await disk.datasyncAsync(fd)
    },
    read: beforeOn('read', disk.read),
    truncate: beforeOn('truncate', disk.truncate),
    setTimes: beforeOn('setTimes', disk.setTimes),
    stat: beforeOn('stat', disk.stat),
    lstat: before('lstat', disk.lstat),
    realPath: before('realPath', disk.realPath),
    makeDirectory: before('makeDirectory', disk.makeDirectory),
    removeDirectory: before('removeDirectory', disk.removeDirectory),
    list: before('list', disk.list),
    rename: (from, to) => {
      check('rename', to)
      disk.rename(from, to)
    },
    unlink: before('unlink', disk.unlink),
  }
}

/** For a time any call may fail, each for a reason of its own. */
export class Flaky implements Trouble {
  readonly #random: Random
  readonly #probability: number
  isFlaky = true
  failed = 0

  constructor(random: Random, probability: number) {
    this.#random = random
    this.#probability = probability
  }

  next(call: string): string | null {
    if (!this.isFlaky || !this.#random.chance(this.#probability)) return null
    this.failed++
    return this.#random.pick(codesOf(call))
  }
}

/** A disk without a free block: files can be made and what has its place can be written over, but nothing grows. */
export class FullDisk implements Trouble {
  isFull = false

  next(call: string): string | null {
    return this.isFull && /^(makeDirectory|write) /.test(call) ? 'ENOSPC' : null
  }
}

const READS = ['EIO', 'EACCES', 'EMFILE']
const CHANGES = ['EIO', 'ENOSPC', 'EDQUOT', 'EACCES', 'EROFS']

/** What may be said of a failing call of this kind. */
export function codesOf(call: string): readonly string[] {
  const [name = ''] = call.split(' ')
  if (name === 'write' || name === 'writeAsync') return ['EIO', 'ENOSPC', 'EDQUOT', 'SHORT']
  if (name.startsWith('sync') || name.startsWith('datasync')) return ['EIO', 'ENOSPC', 'EDQUOT']
  if (name === 'create') return [...CHANGES, 'EMFILE']
  if (name === 'open') return READS
  if (name === 'read' || name === 'stat' || name === 'close') return ['EIO']
  if (name === 'lstat' || name === 'list' || name === 'realPath') return ['EIO', 'EACCES']
  return CHANGES
}

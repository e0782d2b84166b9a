import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { buildSync } from 'esbuild'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { nodeFileSystem, type FileSystem } from '../../../src/backend/file/file-system.js'
import {
  abstractSocket,
  flockCommand,
  lockMechanisms,
  perlFlock,
  type LockMechanism,
} from '../../../src/backend/file/lock-mechanism.js'
import { acquireRootLock, type RootLock, type RootLockRequest } from '../../../src/backend/file/root-lock.js'
import { temporaryDirectory } from './journal-builder.js'
import type { LockOwnerOptions } from './lock-owner.js'

const linux = process.platform === 'linux'
let directory = ''
let program = ''

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'agent-state-'))
  program = join(directory, 'lock-owner.mjs')
  buildSync({
    entryPoints: [fileURLToPath(new URL('./lock-owner.ts', import.meta.url))],
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile: program,
  })
})

afterAll(() => rmSync(directory, { recursive: true }))

function newPath(): string {
  return join(temporaryDirectory(), 'lock')
}

async function acquire(
  path: string,
  options: Partial<RootLockRequest> & { fs?: FileSystem; mechanisms?: readonly LockMechanism[] } = {},
): Promise<RootLock> {
  const { fs = nodeFileSystem, mechanisms, ...request } = options
  const lock = await acquireRootLock(fs, { path, fileMode: 0o600, ...request }, mechanisms)
  onTestFinished(() => lock.release())
  return lock
}

interface Owner {
  readonly child: ChildProcessWithoutNullStreams
  /** What it says next. */
  next(): Promise<Record<string, unknown>>
}

function startOwner(path: string, options: LockOwnerOptions = {}): Owner {
  const child = spawn(process.execPath, [program, path, JSON.stringify(options)])
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  onTestFinished(() => void child.kill('SIGKILL'))
  return {
    child,
    async next() {
      const { value, done } = await lines.next()
      if (done === true) throw new Error('the owner ended without an answer')
      return JSON.parse(value) as Record<string, unknown>
    },
  }
}

async function killed({ child }: Owner): Promise<void> {
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}

describe('I10: one owner', () => {
  test('a second store of the process is refused until the first one has let go', async () => {
    const path = newPath()
    const before = Date.now()
    const lock = await acquire(path)
    const refusal = await acquire(path).catch((error: unknown) => error)
    expect(refusal).toMatchObject({
      code: 'STORE_OWNED',
      outcome: 'unchanged',
      retryable: true,
      pid: process.pid,
      sameProcess: true,
    })
    const { since, message } = refusal as { since: number; message: string }
    expect(since).toBeGreaterThanOrEqual(before)
    expect(since).toBeLessThanOrEqual(Date.now())
    expect(message).toContain(path)
    lock.release()
    lock.release()
    await acquire(path)
  })

  test('a second store in a worker thread is refused as well', async () => {
    const path = newPath()
    await acquire(path)
    const worker = new Worker(program, { argv: [path], stdout: true, stdin: true })
    const lines = createInterface(worker.stdout)[Symbol.asyncIterator]()
    const { value } = await lines.next()
    const answer = { locked: false, code: 'STORE_OWNED', sameProcess: true, pid: process.pid }
    expect(JSON.parse(String(value))).toEqual(answer)
    await worker.terminate()
  })

  test('a second process is refused, and told who owns the root', async () => {
    const path = newPath()
    const owner = startOwner(path)
    expect(await owner.next()).toMatchObject({ locked: true })
    const pid = owner.child.pid
    await expect(acquire(path)).rejects.toMatchObject({ code: 'STORE_OWNED', pid, sameProcess: false })
    const second = startOwner(path)
    expect(await second.next()).toEqual({ locked: false, code: 'STORE_OWNED', pid, sameProcess: false })
  })

  test('the root is free at once after the owner was killed', async () => {
    const path = newPath()
    for (let round = 0; round < 3; round++) {
      const owner = startOwner(path)
      expect(await owner.next()).toMatchObject({ locked: true })
      await killed(owner)
    }
    await acquire(path)
  })

  test('the root is free at once after the owner let go', async () => {
    const path = newPath()
    const owner = startOwner(path)
    await owner.next()
    owner.child.stdin.end()
    expect(await owner.next()).toEqual({ released: true })
    await acquire(path)
  })

  test('a program that the owner started does not keep the lock when it outlives it', async () => {
    const path = newPath()
    const owner = startOwner(path, { starts: true })
    const { child } = await owner.next()
    if (typeof child !== 'number') throw new Error('no child')
    onTestFinished(() => void process.kill(child, 'SIGKILL'))
    await killed(owner)
    expect(process.kill(child, 0)).toBe(true)
    await acquire(path)
  })

  test.each(linux ? [{}, { socket: true }] : [{}])(
    'the lock does not keep a process alive that is done',
    async (options) => {
      const path = newPath()
      const owner = startOwner(path, { ...options, forgets: true })
      const exit = once(owner.child, 'exit')
      expect(await owner.next()).toMatchObject({ locked: true })
      expect(await exit).toEqual([0, null])
      await acquire(path)
    },
  )

  test('of many that try at the same time exactly one succeeds', async () => {
    const path = newPath()
    const attempts = await Promise.allSettled(Array.from({ length: 12 }, () => acquire(path)))
    const failures = attempts.filter((attempt) => attempt.status === 'rejected')
    expect(failures).toHaveLength(11)
    for (const { reason } of failures) expect(reason).toMatchObject({ code: 'STORE_OWNED' })
  })
})

describe('waiting for the owner', () => {
  test('ends with the lock when the owner lets go', async () => {
    const path = newPath()
    const lock = await acquire(path)
    let refusals = 0
    let refused = (): void => undefined
    const wasRefused = new Promise<void>((resolve) => (refused = resolve))
    const counting: LockMechanism = async (fd, file) => {
      const attempt = await flockCommand(fd, file)
      if (attempt.status === 'owned' && ++refusals === 2) refused()
      return attempt
    }
    const waiting = acquire(path, { ownerWaitMs: 1e9, mechanisms: [counting] })
    await wasRefused
    lock.release()
    await waiting
    await expect(acquire(path)).rejects.toMatchObject({ code: 'STORE_OWNED' })
  })

  test('ends with the lock when the owner is killed, and keeps the waiting process alive', async () => {
    const path = newPath()
    const owner = startOwner(path)
    await owner.next()
    const waiting = startOwner(path, { waits: true })
    expect(await waiting.next()).toMatchObject({ locked: false })
    await killed(owner)
    expect(await waiting.next()).toMatchObject({ locked: true })
  })

  test('ends with a refusal when the time is over', async () => {
    const path = newPath()
    await acquire(path)
    const start = performance.now()
    await expect(acquire(path, { ownerWaitMs: 120 })).rejects.toMatchObject({ code: 'STORE_OWNED' })
    // Timers may fire up to a millisecond early.
    expect(performance.now() - start).toBeGreaterThanOrEqual(119)
  })
})

describe('the lock file', () => {
  test('stays, says who the owner is, and says nothing when there is none', async () => {
    const path = newPath()
    const lock = await acquire(path)
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ pid: process.pid })
    lock.release()
    expect(readFileSync(path, 'utf8')).toBe('')
  })

  test('with damaged content still refuses, with an unknown owner', async () => {
    const path = newPath()
    await acquire(path)
    for (const text of [
      '',
      '{',
      'null',
      '5',
      '[]',
      '{"pid":-1}',
      '{"pid":"7","since":"x","host":3}',
      'x'.repeat(9000),
    ]) {
      writeFileSync(path, text)
      await expect(acquire(path)).rejects.toMatchObject({
        code: 'STORE_OWNED',
        pid: null,
        since: null,
        sameProcess: false,
      })
    }
  })

  test('of an owner on another machine is not taken for this process', async () => {
    const path = newPath()
    await acquire(path)
    writeFileSync(path, JSON.stringify({ pid: process.pid, host: 'elsewhere.example', since: 5 }))
    const refusal = { code: 'STORE_OWNED', pid: process.pid, since: 5, sameProcess: false }
    await expect(acquire(path)).rejects.toMatchObject(refusal)
    await expect(acquire(path)).rejects.toThrow('elsewhere.example')
  })

  test('that is left with content of a dead owner does not lock', async () => {
    const path = newPath()
    writeFileSync(path, JSON.stringify({ pid: 1, host: 'h', since: 5 }))
    await acquire(path)
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ pid: process.pid })
  })

  test('need not take content: a full disk does not stop an open', async () => {
    const path = newPath()
    const fs: FileSystem = {
      ...nodeFileSystem,
      write() {
        throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
      },
    }
    await acquire(path, { fs })
    await expect(acquire(path)).rejects.toMatchObject({ code: 'STORE_OWNED', pid: null })
  })

  test('that was replaced while it was being locked is not the lock', async () => {
    const path = newPath()
    let attempts = 0
    const replacing: LockMechanism = async (fd, file) => {
      const attempt = await flockCommand(fd, file)
      if (attempts++ === 0) renameSync(path, `${path}.moved`)
      return attempt
    }
    await acquire(path, { mechanisms: [replacing] })
    expect(attempts).toBe(2)
    await expect(acquire(path)).rejects.toMatchObject({ code: 'STORE_OWNED' })
  })

  test('that is a symlink, a directory or can not be made is ROOT_UNUSABLE', async () => {
    const directory = temporaryDirectory()
    symlinkSync(join(directory, 'target'), join(directory, 'link'))
    mkdirSync(join(directory, 'folder'))
    for (const name of ['link', 'folder', 'missing/lock']) {
      const path = join(directory, name)
      await expect(acquire(path)).rejects.toMatchObject({ code: 'ROOT_UNUSABLE', path })
    }
    expect(existsSync(join(directory, 'target'))).toBe(false)
  })

  test('is closed after every refusal', async () => {
    const path = newPath()
    const open = new Set<number>()
    const fs: FileSystem = {
      ...nodeFileSystem,
      open(...request) {
        const fd = nodeFileSystem.open(...request)
        open.add(fd)
        return fd
      },
      close(fd) {
        open.delete(fd)
        nodeFileSystem.close(fd)
      },
    }
    const lock = await acquire(path, { fs })
    expect(open.size).toBe(1)
    await expect(acquire(path, { fs })).rejects.toMatchObject({ code: 'STORE_OWNED' })
    const broken: LockMechanism = () => Promise.reject(new Error('broken'))
    await expect(acquire(path, { fs, mechanisms: [broken] })).rejects.toThrow('broken')
    expect(open.size).toBe(1)
    lock.release()
    expect(open.size).toBe(0)
    const request = { fs, directory: dirname(path) }
    const both = await acquire(path, request)
    expect(open.size).toBe(2)
    rmSync(path)
    await expect(acquire(path, request)).rejects.toMatchObject({ code: 'STORE_OWNED' })
    await expect(acquire(path, { fs, directory: `${path}/nowhere` })).rejects.toMatchObject({
      code: 'ENOTDIR',
    })
    expect(open.size).toBe(2)
    both.release()
    expect(open.size).toBe(0)
  })
})

describe('mechanisms', () => {
  const available: [string, LockMechanism][] = [
    ['flock', flockCommand],
    ['perl', perlFlock],
    ['abstract socket', abstractSocket],
  ]

  test.runIf(linux).each(available)(
    '%s refuses a second owner and is free after a release',
    async (_name, mechanism) => {
      const path = newPath()
      const mechanisms = [mechanism]
      const lock = await acquire(path, { mechanisms })
      await expect(acquire(path, { mechanisms })).rejects.toMatchObject({
        code: 'STORE_OWNED',
        sameProcess: true,
      })
      await acquire(newPath(), { mechanisms })
      lock.release()
      await acquire(path, { mechanisms })
    },
  )

  test.runIf(linux).each(available)(
    '%s locks the directory too: a lock file that is deleted lets nobody in',
    async (_name, mechanism) => {
      const path = newPath()
      const options = { directory: dirname(path), mechanisms: [mechanism] }
      const lock = await acquire(path, options)
      rmSync(path)
      const refusal = { code: 'STORE_OWNED', pid: null, sameProcess: false }
      await expect(acquire(path, options)).rejects.toMatchObject(refusal)
      await expect(acquire(path, options)).rejects.toMatchObject(refusal)
      lock.release()
      await acquire(path, options)
    },
  )

  test.runIf(linux)(
    'a socket refuses other processes and is free at once after its owner was killed',
    async () => {
      const path = newPath()
      const owner = startOwner(path, { socket: true })
      expect(await owner.next()).toMatchObject({ locked: true })
      const second = startOwner(path, { socket: true })
      expect(await second.next()).toMatchObject({ locked: false, pid: owner.child.pid })
      await killed(owner)
      await acquire(path, { mechanisms: [abstractSocket] })
    },
  )

  test.runIf(linux)('flock and perl take the same lock', async () => {
    const path = newPath()
    await acquire(path, { mechanisms: [perlFlock] })
    await expect(acquire(path, { mechanisms: [flockCommand] })).rejects.toMatchObject({ code: 'STORE_OWNED' })
  })

  test.runIf(linux)('helpers are found whatever PATH the caller has', async () => {
    onTestFinished(() => void vi.unstubAllEnvs())
    for (const path of [undefined, '', '/nowhere']) {
      vi.stubEnv('PATH', path)
      await acquire(newPath(), { mechanisms: [flockCommand] })
    }
  })

  test('one that is missing gives way to the next, one that fails does not', async () => {
    const path = newPath()
    const missing: LockMechanism = () => Promise.resolve({ status: 'missing' })
    const failing: LockMechanism = () =>
      Promise.resolve({ status: 'unavailable', reason: 'no locks available' })
    await acquire(path, { mechanisms: [missing, ...lockMechanisms(process.platform)] })
    const refusal = { code: 'ROOT_UNUSABLE', path }
    await expect(acquire(path, { mechanisms: [failing, flockCommand] })).rejects.toMatchObject(refusal)
    await expect(acquire(path, { mechanisms: [failing] })).rejects.toThrow('no locks available')
    await expect(acquire(path, { mechanisms: [missing] })).rejects.toMatchObject(refusal)
  })

  test.runIf(linux)('a helper that fails for another reason than an owner is not taken for one', async () => {
    const directory = temporaryDirectory()
    vi.stubEnv('PATH', directory)
    onTestFinished(() => void vi.unstubAllEnvs())
    const helpers = [
      ['#!/bin/sh\necho "flock: 3: No locks available" >&2\nexit 1\n', 'No locks available'],
      ['#!/bin/sh\nexit 71\n', '71'],
      ['#!/bin/sh\nkill -9 $$\n', 'SIGKILL'],
    ] as const
    for (const [script, reason] of helpers) {
      writeFileSync(join(directory, 'flock'), script, { mode: 0o700 })
      await expect(acquire(newPath(), { mechanisms: [flockCommand] })).rejects.toThrow(reason)
    }
  })

  test('macOS has no abstract sockets, Windows has named pipes only', () => {
    expect(lockMechanisms('darwin')).toEqual([flockCommand, perlFlock])
    expect(lockMechanisms('win32')).toHaveLength(1)
  })
})

/**
 * The real file system of a process that dies in the middle: at the n-th call of one step of the protocol it kills itself
 * with SIGKILL, before the call, after it, or with half of a write done.
 */
import { nodeFileSystem, type FileSystem, type OpenFlag } from '../../../../src/backend/file/file-system.js'
import { stepName, type ChangingCall } from '../protocol-step.js'

export interface KillPlan {
  /** Which threads count: the one that the store was opened in, or its workers. */
  readonly thread: 'main' | 'worker'
  readonly step: string
  /** 1 is the first call. */
  readonly count: number
  readonly when: 'before' | 'after' | 'half'
}

export interface KillSwitchOptions {
  readonly root: string
  /** Null: it lives. */
  readonly plan: KillPlan | null
  readonly thread: KillPlan['thread']
  /** Called before every step. */
  readonly onStep: (step: string) => void
}

/** What a process has written outlives it, synced or not: nobody has to wait for the disk. */
const fs: FileSystem = {
  ...nodeFileSystem,
  sync: () => {},
  datasync: () => {},
  datasyncAsync: () => new Promise((resolve) => setImmediate(resolve)),
}

export function killSwitch({ root, plan, thread, onStep }: KillSwitchOptions): FileSystem {
  const paths = new Map<number, string>()
  let count = 0

  function isDue(call: ChangingCall, path: string, args: readonly unknown[]): boolean {
    const step = stepName(root, call, path, args)
    if (step === null) return false
    onStep(step)
    return plan?.thread === thread && plan.step === step && ++count === plan.count
  }

  function run<T>(call: ChangingCall, path: string, args: readonly unknown[], act: () => T): T {
    const due = isDue(call, path, args)
    if (due && plan?.when !== 'after') die()
    const result = act()
    if (due) die()
    return result
  }

  const pathOf = (fd: number): string => paths.get(fd) ?? ''

  return {
    ...fs,
    open(path: string, how: OpenFlag, mode?: number) {
      const fd = run('open', path, [path, how], () => fs.open(path, how, mode))
      paths.set(fd, path)
      return fd
    },
    write(fd, buffer, offset, length, position) {
      const due = isDue('write', pathOf(fd), [])
      if (due && plan?.when === 'before') die()
      if (due && plan?.when === 'half') fs.write(fd, buffer, offset, Math.floor(length / 2), position)
      if (due && plan?.when === 'half') die()
      const written = fs.write(fd, buffer, offset, length, position)
      if (due) die()
      return written
    },
    async writeAsync(fd, buffer, offset, length, position) {
      const due = isDue('writeAsync', pathOf(fd), [])
      if (due && plan?.when === 'before') die()
      const half = due && plan?.when === 'half'
      const written = await fs.writeAsync(
        fd,
        buffer,
        offset,
        half ? Math.floor(length / 2) : length,
        position,
      )
      if (due) die()
      return written
    },
    async datasyncAsync(fd) {
      const due = isDue('datasyncAsync', pathOf(fd), [])
      if (due && plan?.when !== 'after') die()
      await fs.datasyncAsync(fd)
      if (due) die()
    },
    sync: (fd) => run('sync', pathOf(fd), [], () => fs.sync(fd)),
    datasync: (fd) => run('datasync', pathOf(fd), [], () => fs.datasync(fd)),
    truncate: (fd, size) => run('truncate', pathOf(fd), [], () => fs.truncate(fd, size)),
    setTimes: (fd, atMs) => run('setTimes', pathOf(fd), [], () => fs.setTimes(fd, atMs)),
    makeDirectory: (path, mode) => run('makeDirectory', path, [], () => fs.makeDirectory(path, mode)),
    removeDirectory: (path) => run('removeDirectory', path, [], () => fs.removeDirectory(path)),
    rename: (from, to) => run('rename', to, [], () => fs.rename(from, to)),
    unlink: (path) => run('unlink', path, [], () => fs.unlink(path)),
  }
}

/** No line of this thread runs any more. */
function die(): never {
  process.kill(process.pid, 'SIGKILL')
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  throw new Error('not reached: the process was killed')
}

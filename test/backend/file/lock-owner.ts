/**
 * A second process for the tests of the lock: `lock-owner PATH OPTIONS`, with `LockOwnerOptions` as JSON. It prints one
 * line of JSON for each thing that happens, and keeps the lock until its input ends.
 */
import { spawn } from 'node:child_process'
import { nodeFileSystem } from '../../../src/backend/file/file-system.js'
import { abstractSocket } from '../../../src/backend/file/lock-mechanism.js'
import { acquireRootLock, type RootLock } from '../../../src/backend/file/root-lock.js'

export interface LockOwnerOptions {
  /** Refused at first, it says so and waits for the owner to go. */
  readonly waits?: boolean
  /** Starts a child that outlives it, and prints that one's pid. */
  readonly starts?: boolean
  /** Ends without letting go. */
  readonly forgets?: boolean
  /** Locks with a socket, not with the mechanisms of the platform. */
  readonly socket?: boolean
}

const [path = '', optionsText = '{}'] = process.argv.slice(2)
const options = JSON.parse(optionsText) as LockOwnerOptions
const mechanisms = options.socket === true ? [abstractSocket] : undefined

function say(what: object): void {
  process.stdout.write(`${JSON.stringify(what)}\n`)
}

async function attempt(ownerWaitMs: number): Promise<RootLock | null> {
  try {
    return await acquireRootLock(nodeFileSystem, { path, fileMode: 0o600, ownerWaitMs }, mechanisms)
  } catch (error) {
    const { code, pid, sameProcess } = error as Record<string, unknown>
    say({ locked: false, code, pid, sameProcess })
    return null
  }
}

const lock = (await attempt(0)) ?? (options.waits === true ? await attempt(1e9) : null)
if (lock !== null) {
  const child = options.starts === true ? spawn('sleep', ['600'], { detached: true, stdio: 'ignore' }) : null
  child?.unref()
  say({ locked: true, child: child?.pid ?? null })
  if (options.forgets !== true) {
    process.stdin.on('end', () => {
      lock.release()
      say({ released: true })
    })
    process.stdin.resume()
  }
}

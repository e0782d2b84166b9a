/** Another process that uses the built package, and says line by line what it does. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

export interface ChildEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface Child {
  readonly pid: number
  readonly lines: AsyncIterable<string>
  readonly ended: Promise<ChildEnd>
  kill(signal: NodeJS.Signals): void
}

/** A script that is named lies beside this file. The child is killed when the test ends. */
export function startChild(
  script: string | URL,
  args: readonly string[],
  nodeArgs: readonly string[] = [],
): Child {
  const path = fileURLToPath(new URL(script, import.meta.url))
  const child: ChildProcess = spawn(process.execPath, [...nodeArgs, path, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const ended = once(child, 'close').then(([code, signal]): ChildEnd => ({ code, signal }))
  return {
    pid: child.pid!,
    lines: createInterface({ input: child.stdout! }),
    ended,
    kill: (signal) => void child.kill(signal),
  }
}

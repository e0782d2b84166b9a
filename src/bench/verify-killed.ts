/** Has a process write and kills it in the middle; then everything that it acknowledged must be there. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { openStore, type Session } from '../index.js'
import { isRewritten, killedContent, killedKey, killedVersion } from './killed-keys.js'

const WRITER = fileURLToPath(new URL('killed-writer.js', import.meta.url))

export interface KilledReport {
  /** Acknowledged writes. */
  readonly acknowledged: number
  /** Keys that were compared. */
  readonly keys: number
  readonly wrong: readonly string[]
}

export async function verifyKilled(
  root: string,
  killAfterMs: number,
  signal: AbortSignal,
): Promise<KilledReport> {
  signal.throwIfAborted()
  const writes = parse(await runKilled(root, killAfterMs, signal))
  signal.throwIfAborted()
  const store = await openStore({ root })
  try {
    const session = await store.resume('killed')
    const expected = expectedVersions(writes)
    const wrong: string[] = []
    for (const [key, { caller, version }] of expected) {
      if (!(await holds(session, key, caller, version))) wrong.push(key)
    }
    return { acknowledged: writes.length, keys: expected.size, wrong }
  } finally {
    // All is compared; bringing what was found into files that are removed next would take longer than everything else.
    await store.close({ flush: false })
  }
}

function runKilled(root: string, killAfterMs: number, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = ''
    let errors = ''
    const child = spawn(process.execPath, [WRITER, root], { stdio: ['ignore', 'pipe', 'pipe'] })
    const kill = (): void => void child.kill('SIGKILL')
    signal.addEventListener('abort', kill, { once: true })
    child.stdout.setEncoding('latin1').on('data', (text: string) => (output += text))
    child.stdout.once('data', () => setTimeout(kill, killAfterMs))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
    child.once('error', reject)
    // Not before: what is measured is removed when this fails, and nobody may write there any more.
    child.once('close', (code, killedBy) => {
      signal.removeEventListener('abort', kill)
      if (killedBy === 'SIGKILL') resolve(output)
      else reject(new Error(`the process that was to be killed ended with ${code ?? killedBy}: ${errors}`))
    })
  })
}

interface Write {
  readonly caller: number
  readonly version: number
}

/** A last line that was cut off may not have been acknowledged. */
function parse(output: string): Write[] {
  return output
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const [caller = Number.NaN, version = Number.NaN] = line.split(' ').map(Number)
      return { caller, version }
    })
}

/** A caller's writes are acknowledged in order: the last one of a key counts. */
function expectedVersions(writes: readonly Write[]): Map<string, Write> {
  return new Map(writes.map((write) => [killedKey(write.caller, write.version), write]))
}

/** A write that was not acknowledged any more may have been made as well. */
async function holds(session: Session, key: string, caller: number, version: number): Promise<boolean> {
  const found = await session.readBytes(key)
  if (found === null || found.length < 4) return false
  const foundVersion = killedVersion(found)
  if (isRewritten(version) ? foundVersion < version : foundVersion !== version) return false
  return Buffer.compare(found, killedContent(caller, foundVersion)) === 0
}

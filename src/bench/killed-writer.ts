/** Entry of the process that is killed: writes, and prints `caller version` when a write was acknowledged. */
import { writeSync } from 'node:fs'
import { openStore } from '../index.js'
import { KILLED_CALLERS, killedContent, killedKey } from './killed-keys.js'

async function main(root: string): Promise<void> {
  const store = await openStore({ root })
  const namespace = await store.init('killed')
  const call = async (caller: number): Promise<never> => {
    const session = namespace.with({ writer: { writerId: `caller-${caller}` } })
    for (let version = 0; ; version++) {
      await session.write(killedKey(caller, version), killedContent(caller, version))
      // What is in the pipe is not lost when this process dies.
      writeSync(1, `${caller} ${version}\n`)
    }
  }
  await Promise.all(Array.from({ length: KILLED_CALLERS }, (_, caller) => call(caller)))
}

main(process.argv[2] ?? '').catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`)
  process.exitCode = 1
})

/** A directory that goes away with the test; in memory where the system has such a file system. */
import { existsSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

const SHARED_MEMORY = '/dev/shm'

export function temporaryDirectory(): string {
  const above = existsSync(SHARED_MEMORY) ? SHARED_MEMORY : tmpdir()
  const directory = mkdtempSync(join(realpathSync(above), 'agent-state-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

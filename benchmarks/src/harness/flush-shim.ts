/** Builds the shim that counts flushes and slows them down, and gives the environment of a process that has it. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const SOURCE = fileURLToPath(new URL('../../flush-shim.c', import.meta.url))
const BUILT = fileURLToPath(new URL('../flush-shim.so', import.meta.url))
/** Memory, where there is such a folder: counting must not write to the disk that is measured. */
const MEMORY_FOLDER = '/dev/shm'

export interface FlushShim {
  environment(delayMs: number): Readonly<Record<string, string>>
  remove(): void
}

/** Null where there is no C compiler or no Linux: then flushes are not counted and can't be slowed. */
export function buildFlushShim(): FlushShim | null {
  if (process.platform !== 'linux') return null
  try {
    execFileSync('cc', ['-O2', '-shared', '-fPIC', '-o', BUILT, SOURCE, '-ldl'], { stdio: 'ignore' })
  } catch {
    return null
  }
  const folder = mkdtempSync(join(isFolder(MEMORY_FOLDER) ? MEMORY_FOLDER : tmpdir(), 'flush-counts-'))
  const counts = join(folder, 'counts')
  return {
    environment: (delayMs) => {
      writeFileSync(counts, Buffer.alloc(16))
      return { LD_PRELOAD: BUILT, FLUSH_SHIM_COUNTS: counts, FLUSH_SHIM_DELAY_US: String(delayMs * 1000) }
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}

import { open } from 'node:fs/promises'
import { dirname } from 'node:path'

/** So that what was made, renamed or removed in it survives a power cut. Windows can't, and keeps that in its own journal. */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** The directory and those above it, up to `top`. */
export async function syncUpTo(top: string, path: string): Promise<void> {
  for (let directory = path; ; directory = dirname(directory)) {
    await syncDirectory(directory)
    if (directory === top || directory === dirname(directory)) return
  }
}

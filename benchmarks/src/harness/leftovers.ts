/**
 * What runs leave on the disk. Where thousands of files were deleted, making new ones takes longer for minutes (ext4 without a
 * journal passes over a file's number for so long, looking at each), so small files go when the scenario is over; large ones,
 * which are few, at once.
 */
import { lstat, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { writeOut } from './usage.js'

const LARGE_BYTES = 64 * 1024

export async function removeLarge(folder: string): Promise<void> {
  for (const name of await readdir(folder, { recursive: true })) {
    const path = join(folder, name)
    const found = await lstat(path)
    if (found.isFile() && found.size >= LARGE_BYTES) await rm(path, { force: true })
  }
}

/** Returns when the disk has it all. */
export async function removeAll(root: string): Promise<void> {
  for (const name of await readdir(root)) {
    await rm(join(root, name), { recursive: true, force: true, maxRetries: 3 })
  }
  await writeOut(root)
}

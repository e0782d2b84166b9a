import { writeSync } from 'node:fs'

/**
 * Synchronously, so that a line that was written is read even if the process dies right behind it.
 * @param {string} line
 * @param {number} [fd]
 */
export function say(line, fd = 1) {
  const bytes = Buffer.from(`${line}\n`)
  for (let written = 0; written < bytes.length;) {
    try {
      written += writeSync(fd, bytes, written)
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EAGAIN') throw error
    }
  }
}

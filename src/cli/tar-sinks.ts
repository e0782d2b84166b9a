/** Where a tar stream goes. */
import { randomUUID } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { ArchiveError } from '../archive/archive-error.js'
import { syncDirectory } from '../archive/sync-directory.js'
import type { TarSink } from '../archive/tar-writer.js'
import { CliError } from './cli-error.js'
import { ExitCode } from './exit-code.js'
import { isClosedPipe, type Output } from './output.js'

export function outputSink(output: Output): TarSink {
  return {
    async write(bytes) {
      try {
        await output.write(bytes)
      } catch (error) {
        throw outputFailure(output, error)
      }
    },
    async finish() {
      await output.end()
      if (output.gone.aborted) throw outputFailure(output, output.gone.reason)
    },
    abandon: () => Promise.resolve(),
  }
}

/** Half an archive is none: that nobody reads it any more is a failure here, whatever has noticed it first. */
export function outputFailure({ gone }: Output, error: unknown): unknown {
  if (!isClosedPipe(gone.reason)) return error
  return new CliError('PIPE_CLOSED', ExitCode.failed, 'whoever reads the archive has stopped before its end')
}

/** Written under another name first, so that half an archive is never taken for one. */
export async function fileSink(path: string): Promise<TarSink> {
  const target = resolve(path)
  const partial = `${target}.partial-${randomUUID()}`
  const placeholder = await open(target, 'wx', 0o600).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST')
      throw new ArchiveError('refused', `${target} is there already`)
    throw new ArchiveError('usage', `${target} can't be written (${String(error)})`)
  })
  await placeholder.close()
  const file = await open(partial, 'wx', 0o600)
  return {
    write: async (bytes) => {
      for (let done = 0; done < bytes.length;) done += (await file.write(bytes, done)).bytesWritten
    },
    async finish() {
      await file.sync()
      await file.close()
      await rename(partial, target)
      await syncDirectory(dirname(target))
    },
    async abandon() {
      await file.close().catch(() => {})
      await rm(partial, { force: true })
      await rm(target, { force: true })
    },
  }
}

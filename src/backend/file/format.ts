import { stateError } from '../../errors.js'
import { writeDurableFile } from './durable-file.js'
import { errorCode, readFully, type FileSystem } from './file-system.js'
import { isStoreId } from './store-id.js'

/** Of everything the store keeps for itself below the root. A higher one is not understood. */
export const FORMAT = 1

/** A whole format file has less than a hundred bytes. */
const FORMAT_BYTES_MAX = 4096

/** Null if there is no such file. Otherwise it may fail with `FORMAT_TOO_NEW` or `METADATA_CORRUPT`. */
export function readFormat(fs: FileSystem, path: string): { readonly storeId: string } | null {
  const stat = fs.lstat(path)
  if (stat === null) return null
  const json = stat.kind === 'file' ? parseObject(readText(fs, path)) : null
  const found = json?.['format']
  if (typeof found !== 'number' || !Number.isSafeInteger(found) || found < 1) throw corrupt(path)
  if (found > FORMAT) {
    const message =
      `The root was written in format ${found} by a newer version of agent-state; this one knows formats up to ` +
      `${FORMAT} (${path}). Use the newer version. Nothing was changed.`
    throw stateError('FORMAT_TOO_NEW', message, { found, supported: FORMAT })
  }
  const storeId = json?.['store_id']
  if (!isStoreId(storeId)) throw corrupt(path)
  return { storeId }
}

/** Durable when it returns. */
export function createFormat(fs: FileSystem, path: string, storeId: string, fileMode: number): void {
  if (!isStoreId(storeId)) throw new TypeError(`A store id is a UUID in lower case, not '${storeId}'.`)
  const text = `${JSON.stringify({ format: FORMAT, store_id: storeId }, null, 2)}\n`
  writeDurableFile(fs, path, Buffer.from(text), fileMode)
}

function readText(fs: FileSystem, path: string): string {
  try {
    const fd = fs.open(path, 'read')
    try {
      const bytes = Buffer.alloc(FORMAT_BYTES_MAX)
      return bytes.toString('utf8', 0, readFully(fs, fd, bytes, 0))
    } finally {
      fs.close(fd)
    }
  } catch (error) {
    const message = `The format of the root could not be read (${errorCode(error)} at ${path}).`
    throw stateError('READ_FAILED', message, { path, cause: error })
  }
}

function parseObject(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const json: unknown = JSON.parse(text)
    return typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : null
  } catch {
    return null
  }
}

function corrupt(path: string): Error {
  const message = `The file ${path}, which says who made this root and in which format, is damaged. Nothing was changed.`
  return stateError('METADATA_CORRUPT', message, { path })
}

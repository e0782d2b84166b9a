import type { FileSystem } from './file-system.js'

export const FORMAT = 1

/** Null if there is no such file. `FORMAT_TOO_NEW`, `METADATA_CORRUPT`. */
export function readFormat(_fs: FileSystem, _path: string): { readonly storeId: string } | null {
  throw new Error('not written yet')
}

/** Durable when it returns. */
export function createFormat(_fs: FileSystem, _path: string, _storeId: string, _mode: number): void {
  throw new Error('not written yet')
}

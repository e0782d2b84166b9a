/** Where an export goes. */
export interface ArchiveWriter {
  addDirectory(path: string): Promise<void>
  addFile(path: string, content: Uint8Array, atMs: number): Promise<void>
  /** Resolves when all of it is durable, or was taken by whoever reads it. */
  finish(): Promise<void>
  /** Leaves nothing behind where it can. */
  abandon(): Promise<void>
}

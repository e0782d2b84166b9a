/**
 * Several contents in one block of memory of their own, which can be given to another thread instead of being cloned. A
 * content itself may be a view on a large block, all of which would be cloned.
 */
export interface Packed {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** One after another; null is what is not there. */
  readonly lengths: readonly (number | null)[]
}

export function pack(contents: readonly (Uint8Array | null)[]): Packed {
  const lengths = contents.map((content) => content?.length ?? null)
  const bytes = new Uint8Array(lengths.reduce<number>((sum, length) => sum + (length ?? 0), 0))
  let end = 0
  for (const content of contents) {
    if (content === null) continue
    bytes.set(content, end)
    end += content.length
  }
  return { bytes, lengths }
}

export function unpack({ bytes, lengths }: Packed): (Uint8Array | null)[] {
  let end = 0
  return lengths.map((length) => (length === null ? null : bytes.subarray(end, (end += length))))
}

/** A frame begins at a multiple of this, so that an append never rewrites a block that holds acknowledged bytes. */
export const FRAME_ALIGNMENT = 4096
export const FRAME_HEADER_BYTES = 64
/** The most bytes that the body of a frame may have. */
export const FRAME_BODY_BYTES_MAX = 2 ** 32 - 2 * FRAME_ALIGNMENT
/** What the first frame of a store has for the CRC of the previous one. */
export const FIRST_PREVIOUS_CRC = 0

/** Where a frame lies and what links it to the one before it. */
export interface FramePlace {
  readonly storeId: Uint8Array
  readonly sequence: number
  readonly segment: number
  readonly offset: number
  readonly previousCrc: number
  /** Marks an empty frame behind the last one. */
  readonly sealFrame?: boolean
}

export interface FrameHeader {
  readonly storeId: Uint8Array
  readonly sequence: number
  readonly segment: number
  readonly offset: number
  readonly previousCrc: number
  readonly sealFrame: boolean
  readonly bodyBytes: number
  readonly bodyCrc: number
  readonly recordCount: number
  /** Of this header; what the next frame's `previousCrc` must be. */
  readonly crc: number
}

/** The bytes that a frame takes in its segment: header and body, padded to the alignment. */
export function frameBytes(bodyBytes: number): number {
  return Math.ceil((FRAME_HEADER_BYTES + bodyBytes) / FRAME_ALIGNMENT) * FRAME_ALIGNMENT
}

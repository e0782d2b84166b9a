/**
 * The checkpoint says where recovery starts, how far the journal went at least, and which revisions may have been
 * assigned. The file is made once with two slots, each a block of its own, and then only overwritten, so that a full disk
 * never stops it:
 *
 * | at | bytes | content of a slot, little endian, zeros behind it to 4096 bytes |
 * |---:|------:|---------|
 * |  0 |     4 | magic: 0xA5 `A` `C` `1` |
 * |  4 |     4 | flags, u32. 1: clean |
 * |  8 |    16 | store id: the bytes of the UUID |
 * | 24 |     8 | generation, u64: one more with every write |
 * | 32 |     8 | ceiling, u64 |
 * | 40 |     8 | epoch, u64 |
 * | 48 |     8 | position: segment, u64 |
 * | 56 |     8 | position: offset, u64 |
 * | 64 |     8 | position: sequence, u64 |
 * | 72 |     4 | position: header CRC of the frame before it |
 * | 76 |     8 | reached, u64: frames with smaller sequences were durable when this was written |
 * | 84 |     4 | CRC-32 of the 84 bytes before it |
 *
 * A write goes to one slot, is synced, goes to the other, is synced. While one slot is being written the other is
 * whole, so a crash leaves the old state or the new one. Writing only one slot each time would do for that; but then
 * the other one would tell of the past, and damage to the newer one would go unnoticed and take the store back to a
 * lower ceiling and to segments that have been used again. With both the same, losing one loses nothing.
 */
import { crc32 } from 'node:zlib'
import { AgentStateError, stateError } from '../../errors.js'
import { writeDurableFile } from './durable-file.js'
import { errorCode, readFully, type FileSystem } from './file-system.js'
import { readU64, writeU64 } from './frame.js'
import { storeIdBytes } from './store-id.js'
import type { JournalPosition } from './tasks.js'

export interface CheckpointState {
  /** Nothing was appended since the tree was brought up to date. */
  readonly clean: boolean
  /** No revision above it was ever assigned. */
  readonly ceiling: number
  /** The revision that entries changed by others have in this opening. */
  readonly epoch: number
  /** The oldest frame that is still needed. */
  readonly position: JournalPosition
  /** Sequence of the frame that came next then. A journal that ends before it has lost what was acknowledged. */
  readonly reached: number
}

export interface CheckpointSlot {
  readonly state: CheckpointState
  readonly generation: number
}

export const SLOT_BYTES = 4096
const SLOT_COUNT = 2
const MAGIC = 0x314341a5
const FLAG_CLEAN = 1
const CRC_AT = 84
const SLOT_USED_BYTES = 88

/** Makes the file, replacing what is there; durable when it returns. */
export function createCheckpoint(
  fs: FileSystem,
  path: string,
  storeId: string,
  state: CheckpointState,
  fileMode: number,
): void {
  const slot = encodeSlot(storeIdBytes(storeId), { state, generation: 1 })
  writeDurableFile(fs, path, Buffer.concat([slot, slot]), fileMode)
}

/** The newest valid slot. `METADATA_CORRUPT` if there is none of this store. */
export function readCheckpoint(fs: FileSystem, path: string, storeId: string): CheckpointSlot {
  const copies = readCopies(fs, path, storeId)
  let newest: CheckpointSlot | null = null
  for (const { slot } of copies) {
    if (slot !== null && (newest === null || slot.generation > newest.generation)) newest = slot
  }
  if (newest !== null) return newest
  const isOfOther = copies.some(({ status }) => status === 'of-another-store')
  throw corrupt(path, isOfOther ? 'it belongs to another store' : 'both of its copies are damaged')
}

/** What each copy says, in their order; null for one that is damaged or belongs to another store. */
export function readCheckpointSlots(
  fs: FileSystem,
  path: string,
  storeId: string,
): readonly (CheckpointSlot | null)[] {
  return readCopies(fs, path, storeId).map(({ slot }) => slot)
}

type Copy =
  | { readonly status: 'valid'; readonly slot: CheckpointSlot }
  | { readonly status: 'damaged' | 'of-another-store'; readonly slot: null }

function readCopies(fs: FileSystem, path: string, storeId: string): Copy[] {
  const bytes = readSlots(fs, path)
  const expected = storeIdBytes(storeId)
  return Array.from({ length: SLOT_COUNT }, (_, index) => {
    const found = decodeSlot(bytes.subarray(index * SLOT_BYTES, (index + 1) * SLOT_BYTES))
    if (found === null) return { status: 'damaged', slot: null }
    const { storeId: foundId, ...slot } = found
    if (Buffer.compare(foundId, expected) !== 0) return { status: 'of-another-store', slot: null }
    return { status: 'valid', slot }
  })
}

/**
 * Owns the open checkpoint file and the order of writes to it. The first write that fails is the last one: what the
 * disk then holds is not known, and neither is whether a repeated sync would tell (I8).
 */
export class CheckpointFile {
  readonly #fs: FileSystem
  readonly #path: string
  #fd: number
  readonly #storeId: Uint8Array
  #durable: CheckpointSlot
  #generation: number
  #lastWrite: Promise<void> = Promise.resolve()
  #closing: Promise<void> | null = null

  private constructor(
    fs: FileSystem,
    path: string,
    fd: number,
    storeId: Uint8Array,
    durable: CheckpointSlot,
  ) {
    this.#fs = fs
    this.#path = path
    this.#fd = fd
    this.#storeId = storeId
    this.#durable = durable
    this.#generation = durable.generation
  }

  static open(fs: FileSystem, path: string, storeId: string): CheckpointFile {
    const durable = readCheckpoint(fs, path, storeId)
    return new CheckpointFile(fs, path, fs.open(path, 'read-write'), storeIdBytes(storeId), durable)
  }

  /**
   * Puts a file of our own in the place of one that has other names too, which would show everywhere what is written. Before
   * anything is written.
   */
  makeOwn(fileMode: number): void {
    if (this.#fs.stat(this.#fd).links === 1) return
    const slot = encodeSlot(this.#storeId, this.#durable)
    writeDurableFile(this.#fs, this.#path, Buffer.concat([slot, slot]), fileMode)
    const shared = this.#fd
    this.#fd = this.#fs.open(this.#path, 'read-write')
    this.#fs.close(shared)
  }

  /** What both slots say, as far as it is known to be durable. */
  get state(): CheckpointState {
    return this.#durable.state
  }

  /** Resolves when both slots say so durably. Writes take turns; the first failure is final. */
  write(state: CheckpointState): Promise<void> {
    if (this.#closing !== null) return Promise.reject(new Error('The checkpoint is closed.'))
    const written = this.#lastWrite.then(() => this.#writeBoth(state))
    this.#lastWrite = written
    return written
  }

  /** Waits for the writes that were asked for. Idempotent. */
  close(): Promise<void> {
    const close = (): void => this.#fs.close(this.#fd)
    this.#closing ??= this.#lastWrite.then(close, close)
    return this.#closing
  }

  async #writeBoth(state: CheckpointState): Promise<void> {
    const slot: CheckpointSlot = { state, generation: ++this.#generation }
    const bytes = encodeSlot(this.#storeId, slot)
    for (let index = 0; index < SLOT_COUNT; index++) {
      await this.#writeSlot(bytes, index * SLOT_BYTES)
      await this.#fs.datasyncAsync(this.#fd)
    }
    this.#durable = slot
  }

  async #writeSlot(bytes: Uint8Array, position: number): Promise<void> {
    let done = 0
    while (done < bytes.length) {
      const rest = bytes.length - done
      const written = await this.#fs.writeAsync(this.#fd, bytes, done, rest, position + done)
      if (written <= 0) throw Object.assign(new Error('The disk took no bytes of a write.'), { code: 'EIO' })
      done += written
    }
  }
}

function encodeSlot(storeId: Uint8Array, { state, generation }: CheckpointSlot): Buffer {
  const bytes = Buffer.alloc(SLOT_BYTES)
  bytes.writeUInt32LE(MAGIC, 0)
  bytes.writeUInt32LE(state.clean ? FLAG_CLEAN : 0, 4)
  bytes.set(storeId, 8)
  writeU64(bytes, generation, 24)
  writeU64(bytes, state.ceiling, 32)
  writeU64(bytes, state.epoch, 40)
  writeU64(bytes, state.position.segment, 48)
  writeU64(bytes, state.position.offset, 56)
  writeU64(bytes, state.position.sequence, 64)
  bytes.writeUInt32LE(state.position.previousCrc, 72)
  writeU64(bytes, state.reached, 76)
  bytes.writeUInt32LE(crc32(bytes.subarray(0, CRC_AT)), CRC_AT)
  return bytes
}

/** Null if the slot is damaged. */
function decodeSlot(bytes: Buffer): (CheckpointSlot & { readonly storeId: Uint8Array }) | null {
  if (bytes.length < SLOT_USED_BYTES || bytes.readUInt32LE(0) !== MAGIC) return null
  if (crc32(bytes.subarray(0, CRC_AT)) !== bytes.readUInt32LE(CRC_AT)) return null
  const generation = readU64(bytes, 24)
  const ceiling = readU64(bytes, 32)
  const epoch = readU64(bytes, 40)
  const segment = readU64(bytes, 48)
  const offset = readU64(bytes, 56)
  const sequence = readU64(bytes, 64)
  const reached = readU64(bytes, 76)
  if (generation === null || ceiling === null || epoch === null) return null
  if (segment === null || offset === null || sequence === null || reached === null) return null
  const position = { segment, offset, sequence, previousCrc: bytes.readUInt32LE(72) }
  const clean = (bytes.readUInt32LE(4) & FLAG_CLEAN) !== 0
  return { storeId: bytes.subarray(8, 24), generation, state: { clean, ceiling, epoch, position, reached } }
}

function readSlots(fs: FileSystem, path: string): Buffer {
  try {
    if (fs.lstat(path)?.kind !== 'file') throw corrupt(path, 'there is no such file')
    const fd = fs.open(path, 'read')
    try {
      const bytes = Buffer.alloc(SLOT_COUNT * SLOT_BYTES)
      readFully(fs, fd, bytes, 0)
      return bytes
    } finally {
      fs.close(fd)
    }
  } catch (error) {
    if (AgentStateError.is(error)) throw error
    const message = `The checkpoint could not be read (${errorCode(error)} at ${path}). Nothing was changed.`
    throw stateError('READ_FAILED', message, { path, cause: error })
  }
}

function corrupt(path: string, why: string): Error {
  const message = `The checkpoint ${path} can't be used: ${why}. Nothing was changed.`
  return stateError('METADATA_CORRUPT', message, { path })
}

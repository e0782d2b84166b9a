import { mkdirSync, readFileSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  CheckpointFile,
  createCheckpoint,
  readCheckpoint,
  SLOT_BYTES,
  type CheckpointState,
} from '../../../src/backend/file/checkpoint.js'
import { nodeFileSystem, type FileSystem } from '../../../src/backend/file/file-system.js'
import { OTHER_STORE_ID, STORE_ID, temporaryDirectory } from './journal-builder.js'

function stateNumber(number: number): CheckpointState {
  const position = { segment: number, offset: number * 4096, sequence: number * 3, previousCrc: number * 5 }
  return { clean: number % 2 === 0, ceiling: number * 1000, epoch: number, position, reached: number * 4 }
}

function newCheckpoint(state: CheckpointState = stateNumber(1)): string {
  const directory = temporaryDirectory()
  mkdirSync(join(directory, 'tmp'))
  const path = join(directory, 'checkpoint')
  createCheckpoint(nodeFileSystem, path, STORE_ID, state, 0o600)
  return path
}

const read = (path: string): CheckpointState => readCheckpoint(nodeFileSystem, path, STORE_ID).state

/** A disk whose calls are noted; `step` may fail one. */
function observed(step: (call: string, number: number) => void): FileSystem {
  let number = 0
  return {
    ...nodeFileSystem,
    async writeAsync(fd, buffer, offset, length, position) {
      step(`write ${position}`, number++)
      return nodeFileSystem.writeAsync(fd, buffer, offset, length, position)
    },
    async datasyncAsync(fd) {
      step('sync', number++)
      return nodeFileSystem.datasyncAsync(fd)
    },
  }
}

describe('a checkpoint file', () => {
  test('has the documented bytes', () => {
    const position = { segment: 2, offset: 2 ** 33, sequence: 2 ** 40 + 3, previousCrc: 0xfedcba98 }
    const reached = 2 ** 41 + 4
    const path = newCheckpoint({ clean: true, ceiling: 2 ** 32 + 6, epoch: 7, position, reached })
    const expected = [
      'a541433101000000',
      STORE_ID.replaceAll('-', ''),
      '0100000000000000',
      '0600000001000000',
      '0700000000000000',
      '0200000000000000',
      '0000000002000000',
      '0300000000010000',
      '98badcfe',
      '0400000000020000',
    ].join('')
    const bytes = readFileSync(path)
    expect(bytes.toString('hex', 0, 84)).toBe(expected)
    expect(bytes.length).toBe(2 * SLOT_BYTES)
    expect(bytes.subarray(0, SLOT_BYTES).equals(bytes.subarray(SLOT_BYTES))).toBe(true)
    expect(bytes.subarray(88, SLOT_BYTES).every((byte) => byte === 0)).toBe(true)
  })

  test('returns any state unchanged', async () => {
    const path = newCheckpoint()
    const file = CheckpointFile.open(nodeFileSystem, path, STORE_ID)
    const integer = fc.maxSafeNat()
    const state = fc.record({
      clean: fc.boolean(),
      ceiling: integer,
      epoch: integer,
      position: fc.record({
        segment: integer,
        offset: integer,
        sequence: integer,
        previousCrc: fc.nat({ max: 0xffffffff }),
      }),
      reached: integer,
    })
    await fc.assert(
      fc.asyncProperty(state, async (given) => {
        await file.write(given)
        expect(read(path)).toEqual(given)
        expect(file.state).toEqual(given)
      }),
      { numRuns: 30 },
    )
    await file.close()
  })

  test('counts its writes, and the newest slot is the one that is believed', async () => {
    const path = newCheckpoint(stateNumber(1))
    const older = readFileSync(path)
    const file = CheckpointFile.open(nodeFileSystem, path, STORE_ID)
    await file.write(stateNumber(2))
    await file.write(stateNumber(3))
    await file.close()
    expect(readCheckpoint(nodeFileSystem, path, STORE_ID)).toEqual({ state: stateNumber(3), generation: 3 })
    for (const slot of [0, SLOT_BYTES]) {
      // A write that the disk lost though it was synced.
      const bytes = readFileSync(path)
      const lost = Buffer.from(bytes)
      older.copy(lost, slot, slot, slot + SLOT_BYTES)
      writeFileSync(path, lost)
      expect(read(path)).toEqual(stateNumber(3))
      writeFileSync(path, bytes)
    }
  })

  test('is replaced whole when it is made again', () => {
    const path = newCheckpoint(stateNumber(8))
    writeFileSync(join(path, '..', 'tmp', 'checkpoint'), 'left by a crash')
    createCheckpoint(nodeFileSystem, path, STORE_ID, stateNumber(3), 0o600)
    expect(read(path)).toEqual(stateNumber(3))
  })

  test('that is missing, no file, too short or of another store is METADATA_CORRUPT, naming it', () => {
    const path = newCheckpoint()
    const refused = (storeId = STORE_ID): void => {
      const open = (): unknown => readCheckpoint(nodeFileSystem, path, storeId)
      expect(open).toThrow(expect.objectContaining({ code: 'METADATA_CORRUPT', path, outcome: 'unchanged' }))
    }
    refused(OTHER_STORE_ID)
    for (const bytes of ['', 'x', Buffer.alloc(2 * SLOT_BYTES), readFileSync(path).subarray(0, 87)]) {
      writeFileSync(path, bytes)
      refused()
    }
    unlinkSync(path)
    refused()
    symlinkSync('elsewhere', path)
    refused()
    unlinkSync(path)
    mkdirSync(path)
    refused()
  })

  test('that can not be read is READ_FAILED: it says nothing about what it holds', () => {
    const path = newCheckpoint()
    const fs: FileSystem = {
      ...nodeFileSystem,
      read() {
        throw Object.assign(new Error('EIO'), { code: 'EIO' })
      },
    }
    const open = (): unknown => readCheckpoint(fs, path, STORE_ID)
    expect(open).toThrow(expect.objectContaining({ code: 'READ_FAILED', path }))
  })
})

describe('I1: a crash while a checkpoint is written', () => {
  test('at any byte of either slot leaves the old state or the new one', async () => {
    const path = newCheckpoint(stateNumber(1))
    const before = readFileSync(path)
    const file = CheckpointFile.open(nodeFileSystem, path, STORE_ID)
    await file.write(stateNumber(2))
    await file.close()
    const after = readFileSync(path)
    for (let cut = 0; cut <= 2 * SLOT_BYTES; cut += cut % SLOT_BYTES < 80 ? 1 : SLOT_BYTES - 80) {
      writeFileSync(path, Buffer.concat([after.subarray(0, cut), before.subarray(cut)]))
      // What follows the 88 bytes in use is zeros, before and after.
      expect(read(path), `cut at ${cut}`).toEqual(cut < 88 ? stateNumber(1) : stateNumber(2))
    }
  })

  test('leaves a state even if a torn slot holds anything', () => {
    const path = newCheckpoint(stateNumber(5))
    const whole = readFileSync(path)
    fc.assert(
      fc.property(fc.constantFrom(0, 1), fc.uint8Array({ maxLength: SLOT_BYTES }), (slot, garbage) => {
        const bytes = Buffer.from(whole)
        bytes.set(garbage, slot * SLOT_BYTES)
        writeFileSync(path, bytes)
        expect(read(path)).toEqual(stateNumber(5))
      }),
    )
  })

  test('never finds both slots being written: each is synced before the other is touched', async () => {
    const path = newCheckpoint()
    const calls: string[] = []
    const file = CheckpointFile.open(
      observed((call) => calls.push(call)),
      path,
      STORE_ID,
    )
    await Promise.all([file.write(stateNumber(2)), file.write(stateNumber(3))])
    await file.close()
    const once = ['write 0', 'sync', `write ${SLOT_BYTES}`, 'sync']
    expect(calls).toEqual([...once, ...once])
  })
})

describe('damage to one slot at rest', () => {
  test('of any bit is harmless after a write, because the other says the same', async () => {
    const path = newCheckpoint(stateNumber(1))
    const file = CheckpointFile.open(nodeFileSystem, path, STORE_ID)
    await file.write(stateNumber(2))
    await file.write(stateNumber(3))
    await file.close()
    const whole = readFileSync(path)
    for (const slot of [0, SLOT_BYTES]) {
      for (let bit = 0; bit < 80 * 8; bit++) {
        const at = slot + (bit >> 3)
        const bytes = Buffer.from(whole)
        bytes[at] = (bytes[at] as number) ^ (1 << (bit & 7))
        writeFileSync(path, bytes)
        expect(read(path)).toEqual(stateNumber(3))
      }
    }
  })

  test('is repaired by the next write', async () => {
    const path = newCheckpoint(stateNumber(1))
    const bytes = readFileSync(path)
    bytes.fill(0xff, 0, SLOT_BYTES)
    writeFileSync(path, bytes)
    const file = CheckpointFile.open(nodeFileSystem, path, STORE_ID)
    expect(file.state).toEqual(stateNumber(1))
    await file.write(stateNumber(2))
    await file.close()
    const repaired = readFileSync(path)
    expect(repaired.subarray(0, SLOT_BYTES).equals(repaired.subarray(SLOT_BYTES))).toBe(true)
  })
})

describe('I8: a write that fails', () => {
  test('at any step is the last one, and says so to all that wait', async () => {
    for (let failingStep = 0; failingStep < 4; failingStep++) {
      const path = newCheckpoint(stateNumber(1))
      const failure = Object.assign(new Error('EIO'), { code: 'EIO' })
      let steps = 0
      const fs = observed((_call, number) => {
        steps++
        if (number === failingStep) throw failure
      })
      const file = CheckpointFile.open(fs, path, STORE_ID)
      const results = await Promise.allSettled([file.write(stateNumber(2)), file.write(stateNumber(3))])
      expect(results).toEqual([1, 2].map(() => ({ status: 'rejected', reason: failure })))
      await expect(file.write(stateNumber(4))).rejects.toBe(failure)
      expect(steps).toBe(failingStep + 1)
      expect(file.state).toEqual(stateNumber(1))
      await file.close()
      expect([stateNumber(1), stateNumber(2)]).toContainEqual(read(path))
    }
  })

  test('because the disk takes only a little at a time does not fail', async () => {
    const path = newCheckpoint()
    const fs: FileSystem = {
      ...nodeFileSystem,
      writeAsync: (fd, buffer, offset, length, position) =>
        nodeFileSystem.writeAsync(fd, buffer, offset, Math.min(length, 7), position),
    }
    const file = CheckpointFile.open(fs, path, STORE_ID)
    await file.write(stateNumber(2))
    expect(read(path)).toEqual(stateNumber(2))
    await file.close()
    const stuck = CheckpointFile.open(
      { ...nodeFileSystem, writeAsync: () => Promise.resolve(0) },
      path,
      STORE_ID,
    )
    await expect(stuck.write(stateNumber(3))).rejects.toMatchObject({ code: 'EIO' })
    await stuck.close()
  })
})

describe('I11: closing', () => {
  test('waits for the writes that were asked for, refuses later ones, and may be repeated', async () => {
    const path = newCheckpoint()
    const file = CheckpointFile.open(nodeFileSystem, path, STORE_ID)
    const written = file.write(stateNumber(2))
    await Promise.all([file.close(), file.close()])
    await written
    expect(read(path)).toEqual(stateNumber(2))
    await expect(file.write(stateNumber(3))).rejects.toThrow('closed')
    await file.close()
  })
})

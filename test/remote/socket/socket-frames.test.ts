import { MessageChannel, type MessagePort } from 'node:worker_threads'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  compareVersions,
  decodeContent,
  encodeClosed,
  encodeFrame,
  FrameReader,
  makePreamble,
  MalformedFrame,
  PREAMBLE_BYTES,
} from '../../../src/remote/socket/socket-frames.js'

const noPorts = (): never => {
  throw new Error('there are no ports')
}

/** All frames of what comes in pieces. */
function framesOf(pieces: readonly Buffer[], contentBytesMax = 1_000_000): unknown[] {
  const reader = new FrameReader(contentBytesMax)
  const found: unknown[] = []
  for (const piece of pieces) {
    reader.push(piece)
    for (let frame = reader.takeFrame(); frame !== null; frame = reader.takeFrame()) {
      const { channel, content } = frame
      found.push([channel, content === null ? 'closed' : decodeContent(content, noPorts)])
    }
  }
  return found
}

describe('frames', () => {
  test('come out as they went in, however they are cut', () => {
    const value = fc.oneof(
      fc.string(),
      fc.integer(),
      fc.constant(undefined),
      fc.uint8Array(),
      fc.constant(null),
    )
    const frame = fc.tuple(fc.nat(2 ** 31), fc.option(fc.array(value), { nil: 'closed' as const }))
    fc.assert(
      fc.property(fc.array(frame), fc.array(fc.integer({ min: 1, max: 40 })), (frames, cuts) => {
        const bytes = Buffer.concat(
          frames.map(([channel, content]) =>
            content === 'closed' ? encodeClosed(channel) : encodeFrame(channel, content, noPorts),
          ),
        )
        const pieces: Buffer[] = []
        let start = 0
        for (let cut = 0; start < bytes.length; cut++) {
          const end = start + (cuts[cut % Math.max(1, cuts.length)] ?? bytes.length)
          pieces.push(bytes.subarray(start, end))
          start = end
        }
        expect(framesOf(pieces)).toEqual(frames)
      }),
    )
  })

  test('carry ports as numbers', () => {
    const { port1, port2 } = new MessageChannel()
    onTestFinished(() => port1.close())
    const sent: MessagePort[] = []
    const frame = encodeFrame(3, ['x', { in: port1 }], (port) => sent.push(port))
    expect(sent).toHaveLength(1)
    expect(sent[0]).toBe(port1)
    const asked: number[] = []
    const content = decodeContent(frame.subarray(8), (number) => {
      asked.push(number)
      return port2
    }) as [string, { in: MessagePort }]
    expect(content[1].in).toBe(port2)
    expect(asked).toEqual([1])
  })

  test('take nothing that is neither plain nor bytes', () => {
    for (const wrong of [
      new SharedArrayBuffer(8),
      () => {},
      Symbol('x'),
      new Float64Array(2),
      new DataView(new ArrayBuffer(2)),
    ]) {
      expect(() => encodeFrame(0, [wrong], noPorts)).toThrow()
    }
  })

  test('that are too long are refused by their header', () => {
    const frame = encodeFrame(0, 'x'.repeat(1000), noPorts)
    expect(() => framesOf([frame.subarray(0, 8)], 999)).toThrow(MalformedFrame)
  })
})

describe('the preamble', () => {
  test('tells another version from something else', () => {
    const preamble = makePreamble()
    expect(preamble).toHaveLength(PREAMBLE_BYTES)
    expect(compareVersions(preamble)).toBeNull()
    for (const offset of [12, 14, 16]) {
      const other = makePreamble()
      other.writeUInt16LE(999, offset)
      expect(compareVersions(other)!.found).toContain('999')
    }
    expect(() => compareVersions(Buffer.alloc(PREAMBLE_BYTES))).toThrow(MalformedFrame)
  })
})

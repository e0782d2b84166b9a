import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { joinedCrc32 } from '../../../src/backend/file/crc-join.js'

const bytes = (size: number): Buffer => Buffer.alloc(size, 'no two of them alike')

test('the CRC of two parts is that of both together', () => {
  const parts = fc.uint8Array({ minLength: 1, maxLength: 5000 })
  fc.assert(
    fc.property(parts, parts, (before, behind) => {
      const whole = Buffer.concat([before, behind])
      expect(joinedCrc32(crc32(before), crc32(behind), behind.length)).toBe(crc32(whole))
    }),
  )
})

test.each([1, 2, 255, 4096, 2 ** 20 - 1, 2 ** 23])('behind it may be %i bytes, asked again too', (size) => {
  const before = bytes(100)
  const behind = bytes(size)
  const whole = crc32(Buffer.concat([before, behind]))
  const join = (): number => joinedCrc32(crc32(before), crc32(behind), size)
  expect([join(), join()]).toEqual([whole, whole])
})

test('nothing behind it leaves a CRC as it is', () => {
  expect(joinedCrc32(0xfedcba98, 0, 0)).toBe(0xfedcba98)
})

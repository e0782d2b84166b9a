/**
 * The CRC-32 (of zlib and IEEE 802.3) of bytes that follow each other, from the CRCs of both parts: what was gone over once
 * need not be gone over again. A CRC is a remainder in GF(2)[x] whose highest bit stands for x^0, and n bytes behind it
 * multiply it by x^(8n).
 */

const POLYNOMIAL = 0xedb88320 | 0
const ONE = 0x80000000 | 0
const X = 0x40000000
const BITS = 32
const SIGN_BIT = 31

/** x^(2^k), for each k. */
const SQUARES = squares()

let lastBytes = 0
/** x^(8 n) of the n that was asked for last: values are often of one size. */
let lastShift = ONE

/** `behind` is the CRC of that many bytes, fewer than 4 GiB. */
export function joinedCrc32(before: number, behind: number, behindBytes: number): number {
  if (behindBytes !== lastBytes) {
    lastShift = shiftBy(behindBytes)
    lastBytes = behindBytes
  }
  return (product(lastShift, before) ^ behind) >>> 0
}

function shiftBy(bytes: number): number {
  let shift = ONE
  // 8 is the third power of 2.
  for (let left = bytes, k = 3; left > 0; left >>>= 1, k++) {
    if ((left & 1) === 1) shift = product(SQUARES[k % BITS]!, shift)
  }
  return shift
}

/** The product of two remainders, as signed 32 bits. Without branches: which way one would go is chance. */
function product(a: number, b: number): number {
  let sum = 0
  let left = a | 0
  let multiple = b | 0
  while (left !== 0) {
    sum ^= multiple & (left >> SIGN_BIT)
    left <<= 1
    multiple = (multiple >>> 1) ^ (POLYNOMIAL & -(multiple & 1))
  }
  return sum
}

/** They repeat after 32: x^(2^32) is x again. */
function squares(): readonly number[] {
  const found = [X]
  while (found.length < BITS) found.push(product(found.at(-1)!, found.at(-1)!))
  return found
}

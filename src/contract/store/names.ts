/** Names that several tests need, chosen because some implementation has stumbled over them. */

/** Every character with the Unicode property White_Space. JavaScript's `trim()` takes U+0085 off the list. */
export const WHITE_SPACE: readonly string[] = [
  0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x20, 0x85, 0xa0, 0x1680, 0x2000, 0x2005, 0x200a, 0x2028, 0x2029, 0x202f,
  0x205f, 0x3000,
].map((code) => String.fromCodePoint(code))

/** Names that are special to JavaScript objects and to nothing else. */
export const OBJECT_NAMES: readonly string[] = [
  '__proto__',
  'constructor',
  'prototype',
  'hasOwnProperty',
  'toString',
  'valueOf',
  '__defineGetter__',
  'then',
]

/** In the order of their UTF-8 bytes, which differs from that of UTF-16 units and from every locale's. */
export const SORTED_KEYS: readonly string[] = [
  '.hidden',
  'A',
  'Z',
  'a b',
  'a!',
  'a-b',
  'a.b',
  'a/b',
  'a0',
  'aa',
  'é',
  '～',
  '😀',
]

export const LONE_SURROGATES: readonly string[] = ['\ud800', 'a\udfffb', '\udc00\ud800', 'x\ud83d']

import { deflateSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { openContents } from '../../src/replay/contents.js'
import { generateContent } from '../../src/replay/generated-content.js'
import type { Content, Identifier } from '../../src/replay/trace.js'

function content(blob: Identifier, size: number): Content {
  return { kind: 'file', blob, size }
}

describe('made-up contents', () => {
  test('are the same for the same blob, in this version and in all others', () => {
    expect(Buffer.from(generateContent(content(7, 20))).toString('hex')).toBe(
      'cbd6e5d087e79dc69e4ea8669039aa539043e913',
    )
    expect(generateContent(content('x', 20))).toEqual(generateContent(content('x', 20)))
  })

  test('have the size asked for, nothing included', () => {
    for (const size of [0, 1, 15, 16, 17, 100_000])
      expect(generateContent(content(1, size))).toHaveLength(size)
  })

  test('differ between blobs, from the first bytes on', () => {
    const starts = [0, 1, 2, 255, 256, 2 ** 40, '1', 'a'].map((blob) =>
      Buffer.from(generateContent(content(blob, 16))).toString('hex'),
    )
    expect(new Set(starts).size).toBe(starts.length)
  })

  test("can't be compressed", () => {
    const bytes = generateContent(content(3, 100_000))
    expect(deflateSync(bytes).length).toBeGreaterThan(bytes.length)
  })

  test('do not depend on the kind of file', async () => {
    const contents = openContents(null)
    const submodule: Content = { kind: 'submodule', blob: 5, size: 0 }
    expect(await contents.read(submodule)).toHaveLength(0)
    expect(await contents.read({ ...content(5, 9), kind: 'symlink' })).toEqual(generateContent(content(5, 9)))
    contents.close()
  })
})

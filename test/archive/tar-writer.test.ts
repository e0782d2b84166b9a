import { expect, test } from 'vitest'
import { TarWriter } from '../../src/archive/tar-writer.js'

test.each([
  ['before 1970', -86_400_000, 0],
  ['that a header can hold', 1_795_495_608_000, 1_795_495_608_000],
  ['after 2242', 8 ** 11 * 1000, (8 ** 11 - 1) * 1000],
  ['that is no date', 1e17, (8 ** 11 - 1) * 1000],
])('a tar stream has the nearest time to one %s', async (_, atMs, held) => {
  const chunks: Uint8Array[] = []
  const archive = new TarWriter({
    write: async (bytes) => void chunks.push(Uint8Array.from(bytes)),
    finish: async () => {},
    abandon: async () => {},
  })
  await archive.addFile('n/k', Buffer.from('v'), atMs)
  await archive.finish()
  const field = Buffer.concat(chunks).toString('latin1', 136, 148)
  expect(field).toBe(`${(held / 1000).toString(8).padStart(11, '0')}\0`)
})

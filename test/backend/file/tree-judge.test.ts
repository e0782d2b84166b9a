import { describe, expect, test } from 'vitest'
import type { Metadata, OwnMetadata } from '../../../src/backend/file/metadata.js'
import { judgeEntry, timeFits, type FoundContent } from '../../../src/backend/file/tree-judge.js'

const rules = { storeId: 'ours', ceiling: 100, epoch: 90 }
const own: OwnMetadata = {
  revision: 7,
  storeId: 'ours',
  size: 5,
  crc: 123,
  writtenAtMs: 1000,
  anonymous: true,
  key: null,
}
const writer = { writerId: 'w' }
const content: FoundContent = { size: 5, mtimeMs: 1000.2, ino: 9, crc: null }

function metadata(change: Partial<OwnMetadata> = {}): Metadata {
  return { writer, writerAtS: 1, own: { ...own, ...change } }
}

function verdict(found: Metadata | null, change: Partial<FoundContent> = {}): string {
  return judgeEntry('k', found, { ...content, ...change }, rules).verdict
}

describe('an entry of the tree', () => {
  test('is our own when size and time fit, and shows what its metadata says', () => {
    expect(judgeEntry('k', metadata(), content, rules)).toEqual({
      verdict: 'own',
      head: {
        revision: 7,
        writer,
        writerAtS: 1,
        anonymous: true,
        external: false,
        size: 5,
        updatedAtMs: 1000,
      },
    })
  })

  test('that is external has the epoch’s revision, keeps the last named writer, and counts as anonymous', () => {
    expect(judgeEntry('k', metadata({ storeId: 'other' }), content, rules)).toEqual({
      verdict: 'external',
      head: {
        revision: 90,
        writer,
        writerAtS: 1,
        anonymous: true,
        external: true,
        size: 5,
        updatedAtMs: 1000,
        fingerprint: '5:1000.2:9',
      },
    })
    expect(judgeEntry('k', null, content, rules).head).toMatchObject({ writer: null, writerAtS: null })
  })

  test.each([
    ['there is no metadata', null],
    ['it has only the origin’s fields', { writer, writerAtS: 1, own: null }],
    ['another store wrote it', metadata({ storeId: 'other' })],
    ['its revision was never given out', metadata({ revision: 101 })],
    ['it belongs to another key', metadata({ key: 'other' })],
    ['the size differs', metadata({ size: 6 })],
  ])('is external when %s', (_, found) => {
    expect(verdict(found)).toBe('external')
    expect(verdict(found, { crc: 123 })).toBe('external')
  })

  test('counts up to the ceiling, and with its own key named', () => {
    expect(verdict(metadata({ revision: 100 }))).toBe('own')
    expect(verdict(metadata({ key: 'k' }))).toBe('own')
  })

  test('with another time needs its checksum, which decides', () => {
    expect(verdict(metadata(), { mtimeMs: 5000 })).toBe('unclear')
    expect(verdict(metadata(), { mtimeMs: 5000, crc: 123 })).toBe('own')
    expect(verdict(metadata(), { mtimeMs: 5000, crc: 124 })).toBe('external')
  })

  test('is damaged when the checksum differs though size and time fit', () => {
    expect(verdict(metadata(), { crc: 124 })).toBe('damaged')
    expect(verdict(metadata(), { crc: 123 })).toBe('own')
  })

  test('has the same fingerprint whether its checksum was computed or not, and another for another content', () => {
    const fingerprint = (change: Partial<FoundContent>): string | undefined =>
      judgeEntry('k', null, { ...content, ...change }, rules).head.fingerprint
    expect(fingerprint({ crc: 5 })).toBe(fingerprint({}))
    const different = [{}, { size: 6 }, { mtimeMs: 1000.3 }, { ino: 10 }].map(fingerprint)
    expect(new Set(different).size).toBe(4)
  })
})

test('a time fits within a millisecond', () => {
  expect(timeFits(1000.999, 1000)).toBe(true)
  expect(timeFits(999.001, 1000)).toBe(true)
  expect(timeFits(1001, 1000)).toBe(false)
  expect(timeFits(999, 1000)).toBe(false)
})

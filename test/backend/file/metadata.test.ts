import { Buffer } from 'node:buffer'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { encodeMetadata, parseMetadata, type Metadata } from '../../../src/backend/file/metadata.js'

const own = {
  revision: 7,
  storeId: '01911111-2222-7333-8444-555555555555',
  size: 5,
  crc: 0x00a1b2c3,
  writtenAtMs: 1_795_369_429_123,
  anonymous: false,
  key: null,
}

/** The origin's file, byte for byte. */
const ORIGINAL = `{
  "writer": {
    "writer_id": "w",
    "stage_id": "s",
    "session_id": "x",
    "worker_id": "k"
  },
  "updated_at": 1795369429
}`
const WRITER = { writerId: 'w', stageId: 's', sessionId: 'x', workerId: 'k' }

function parse(text: string | Uint8Array): Metadata | null {
  return parseMetadata(Buffer.from(text))
}

describe('encoding', () => {
  test('gives the origin’s bytes with our fields behind them', () => {
    const text = encodeMetadata({ writer: WRITER, writerAtS: 1_795_369_429, own })
    expect(text).toBe(`${ORIGINAL.slice(0, -2)},
  "revision": 7,
  "store": "01911111-2222-7333-8444-555555555555",
  "size": 5,
  "checksum": "crc32:00a1b2c3",
  "written_at": 1795369429123,
  "metadata_checksum": "crc32:7167d2b0"
}`)
  })

  test('says {} and null where no writer is known, and that the write was anonymous', () => {
    const text = encodeMetadata({ writer: null, writerAtS: null, own: { ...own, anonymous: true } })
    expect(text).toBe(`{
  "writer": {},
  "updated_at": null,
  "revision": 7,
  "store": "01911111-2222-7333-8444-555555555555",
  "size": 5,
  "checksum": "crc32:00a1b2c3",
  "written_at": 1795369429123,
  "anonymous": true,
  "metadata_checksum": "crc32:13659398"
}`)
  })

  test('leaves out absent ids, keeps empty ones, and names the key in the second place', () => {
    const text = encodeMetadata({
      writer: { workerId: 'k', writerId: '' },
      writerAtS: 0,
      own: { ...own, key: 'a.json/"b"\n' },
    })
    expect(text.startsWith('{\n  "writer": {\n    "writer_id": "",\n    "worker_id": "k"\n  },\n')).toBe(true)
    expect(text).toContain(
      '\n  "written_at": 1795369429123,\n  "key": "a.json/\\"b\\"\\n",\n  "metadata_checksum": "crc32:',
    )
  })

  test('escapes as serde does: control characters and nothing else', () => {
    const text = encodeMetadata({
      writer: { writerId: '"\\/\b\f\n\r\t\u0000\u001f\u007f\u2028é😀' },
      writerAtS: 1,
      own,
    })
    expect(text).toContain('"writer_id": "\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\u007f\u2028é😀"')
  })

  test('what was encoded is parsed to the same', () => {
    const id = fc.option(fc.string({ unit: 'grapheme' }), { nil: undefined })
    const count = fc.nat({ max: Number.MAX_SAFE_INTEGER })
    const metadata = fc.record({
      writer: fc.record({ writerId: id, stageId: id, sessionId: id, workerId: id }),
      writerAtS: fc.option(count),
      own: fc.record({
        revision: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
        storeId: fc.uuid(),
        size: count,
        crc: fc.nat({ max: 0xffffffff }),
        writtenAtMs: count,
        anonymous: fc.boolean(),
        key: fc.option(fc.string({ unit: 'grapheme' })),
      }),
    })
    fc.assert(
      fc.property(metadata, (given) => {
        const parsed = parse(encodeMetadata(given))
        const named = Object.entries(given.writer).filter(([, value]) => value !== undefined)
        const writer = named.length === 0 ? null : Object.fromEntries(named)
        expect(parsed).toEqual({ ...given, writer })
      }),
    )
  })
})

describe('what is laid out as we write it is parsed without a closer look, and to the same:', () => {
  test.each([
    ['a writer', { writer: WRITER, writerAtS: 1_795_369_429, own }],
    ['part of one', { writer: { stageId: 's' }, writerAtS: 1, own }],
    ['nobody', { writer: null, writerAtS: null, own: { ...own, anonymous: true } }],
  ])('%s', (_, metadata) => {
    const bytes = Buffer.from(encodeMetadata(metadata))
    const closerLook = vi.spyOn(JSON, 'parse')
    onTestFinished(() => closerLook.mockRestore())
    expect(parseMetadata(bytes)).toEqual(metadata)
    expect(closerLook).not.toHaveBeenCalled()
  })

  /** White space behind it is no layout of ours, and changes nothing else. */
  function expectSame(text: string): void {
    expect(parse(text)).toEqual(parse(`${text}\n`))
  }

  const id = fc.option(
    fc.oneof(fc.string({ unit: 'grapheme-ascii' }), fc.constantFrom('', '", "', '{', '\u00e9')),
    {
      nil: undefined,
    },
  )
  const written = fc
    .record({
      writer: fc.record({ writerId: id, stageId: id, sessionId: id, workerId: id }),
      writerAtS: fc.option(fc.nat({ max: Number.MAX_SAFE_INTEGER })),
      anonymous: fc.boolean(),
    })
    .map(({ writer, writerAtS, anonymous }) =>
      encodeMetadata({ writer, writerAtS, own: { ...own, anonymous } }),
    )

  test('whatever is written', () => {
    fc.assert(fc.property(written, expectSame))
  })

  test('whatever becomes of it', () => {
    const piece = fc.constantFrom(
      '',
      ' ',
      '\n',
      ',',
      '"',
      '{',
      '}',
      '\\',
      ':',
      '0',
      '1',
      '9',
      '-',
      '.0',
      'e1',
      'null',
      'w',
    )
    fc.assert(
      fc.property(written, fc.nat(), fc.nat({ max: 2 }), piece, (text, at, removed, inserted) => {
        const index = at % text.length
        expectSame(text.slice(0, index) + inserted + text.slice(index + removed))
      }),
      { numRuns: 2000 },
    )
  })

  test('lines that are left out, repeated, or come in another order', () => {
    const lines = encodeMetadata({ writer: WRITER, writerAtS: 5, own: { ...own, anonymous: true } }).split(
      '\n',
    )
    for (let from = 0; from < lines.length; from++) {
      expectSame(lines.filter((_, index) => index !== from).join('\n'))
      for (let to = 0; to < lines.length; to++)
        expectSame([...lines.slice(0, to), lines[from], ...lines.slice(to)].join('\n'))
    }
  })
})

describe('parsing takes what the origin’s reader takes', () => {
  test('the origin’s own file', () => {
    expect(parse(ORIGINAL)).toEqual({ writer: WRITER, writerAtS: 1_795_369_429, own: null })
  })

  test.each([
    ['nothing in it', '{}', null, null],
    ['unknown fields, nested and repeated', '{"x": {"writer": 5, "y": ["}", ","]}, "x": 1e999}', null, null],
    ['deeply nested unknown fields', `{"x": ${'['.repeat(1000)}${']'.repeat(1000)}}`, null, null],
    ['an unknown text with half a character', '{"x": "\\ud800"}', null, null],
    ['updated_at null', '{"updated_at": null}', null, null],
    ['an empty writer', '{"writer": {}}', null, null],
    ['null ids', '{"writer": {"writer_id": null, "stage_id": "s"}}', { stageId: 's' }, null],
    ['unknown fields in the writer', '{"writer": {"x": 1, "writer_id": "w"}}', { writerId: 'w' }, null],
    ['an empty id', '{"writer": {"writer_id": ""}}', { writerId: '' }, null],
    ['escaped names', '{"\\u0077riter": {"writer\\u005fid": "w"}}', { writerId: 'w' }, null],
    ['names of JavaScript', '{"__proto__": 1, "constructor": {}}', null, null],
    ['white space of JSON', '\t\r\n {"updated_at"\n:\t5 }\n', null, 5],
    ['fields in order', '[{"writer_id": "w"}, 5]', { writerId: 'w' }, 5],
    ['a writer in order', '{"writer": ["w", null, "x"]}', { writerId: 'w', sessionId: 'x' }, null],
    ['no fields in order', '[]', null, null],
    ['the largest time JavaScript holds', '{"updated_at": 9007199254740991}', null, 2 ** 53 - 1],
    ['times only Rust holds, as not known', '{"updated_at": 18446744073709551615}', null, null],
  ])('%s', (_, text, writer, writerAtS) => {
    expect(parse(text)).toEqual({ writer, writerAtS, own: null })
  })
})

describe('parsing refuses what the origin’s reader refuses', () => {
  test.each([
    ['an empty file', ''],
    ['a file that was cut off', ORIGINAL.slice(0, -1)],
    ['something behind it', '{} x'],
    ['a byte order mark', '\uFEFF{}'],
    ['zeros', '\0\0\0\0'],
    ['no struct', '5'],
    ['null', 'null'],
    ['a text', '"writer"'],
    ['writer null', '{"writer": null}'],
    ['writer a text', '{"writer": "w"}'],
    ['a number for an id', '{"writer": {"writer_id": 5}}'],
    ['half a character in an id', '{"writer": {"writer_id": "\\ud800"}}'],
    ['half a character in a name', '{"\\ud800": 1}'],
    ['a writer given twice', '{"writer": {}, "writer": {}}'],
    ['a writer given twice, once escaped', '{"writer": {}, "\\u0077riter": {}}'],
    ['an id given twice', '{"writer": {"writer_id": "w", "writer_id": "w"}}'],
    ['updated_at given twice', '{"updated_at": 5, "updated_at": 5}'],
    ['a negative time', '{"updated_at": -1}'],
    ['minus zero', '{"updated_at": -0}'],
    ['a time with a fraction', '{"updated_at": 5.0}'],
    ['a time with an exponent', '{"updated_at": 5e0}'],
    ['a time in a text', '{"updated_at": "5"}'],
    ['a time over 64 bits', '{"updated_at": 18446744073709551616}'],
    ['too many fields in order', '[{}, 5, 6]'],
    ['too many ids in order', '{"writer": ["w", "s", "x", "k", "y"]}'],
    ['a line break in a text', '{"x": "\n"}'],
    ['a comma too many', '{"updated_at": 5,}'],
  ])('%s', (_, text) => {
    expect(parse(text)).toBeNull()
  })

  test('bytes that are not UTF-8', () => {
    expect(parse(Buffer.concat([Buffer.from('{"x": "'), Buffer.from([0xff]), Buffer.from('"}')]))).toBeNull()
  })
})

describe('our own fields', () => {
  const complete = {
    writer: {},
    updated_at: null,
    revision: 7,
    store: 'id',
    size: 0,
    checksum: 'crc32:ffffffff',
    written_at: 5,
  }

  /** With the checksum that is documented. */
  function signed(fields: object): string {
    const checksum = crc32(JSON.stringify(fields)).toString(16).padStart(8, '0')
    return JSON.stringify({ ...fields, metadata_checksum: `crc32:${checksum}`, later: 'field' }, null, 1)
  }

  test('are taken when they make sense', () => {
    expect(parse(signed(complete))?.own).toEqual({
      revision: 7,
      storeId: 'id',
      size: 0,
      crc: 0xffffffff,
      writtenAtMs: 5,
      anonymous: false,
      key: null,
    })
    expect(parse(signed({ ...complete, anonymous: true, key: 'k' }))?.own).toMatchObject({
      anonymous: true,
      key: 'k',
    })
  })

  test.each([
    { revision: 0 },
    { revision: -1 },
    { revision: 1.5 },
    { revision: 2 ** 53 },
    { revision: '7' },
    { store: 5 },
    { size: -1 },
    { size: null },
    { checksum: 'crc32:FFFFFFFF' },
    { checksum: 'crc32:fffffff' },
    { checksum: 'crc32:ffffffff0' },
    { checksum: 'md5:ffffffff' },
    { checksum: 5 },
    { written_at: 0.5 },
    { written_at: null },
    { anonymous: 'yes' },
    { anonymous: null },
    { key: 5 },
  ])('do not count, and spoil nothing, with %j', (change) => {
    expect(parse(signed({ ...complete, ...change }))).toEqual({
      writer: null,
      writerAtS: null,
      own: null,
    })
  })

  test.each(['revision', 'store', 'size', 'checksum', 'written_at'])('do not count without %s', (name) => {
    const { [name]: _, ...rest } = complete as Record<string, unknown>
    expect(parse(signed(rest))?.own).toBeNull()
  })

  test('do not count when any of them, or the writer, was changed since', () => {
    const writer = { writer_id: 'ann', worker_id: 'w' }
    const given = { ...complete, writer, updated_at: 5, anonymous: true, key: 'k' }
    const text = signed(given)
    expect(parse(text)?.own).not.toBeNull()
    const changes: object[] = [
      { writer: { ...writer, writer_id: 'anm' } },
      { writer: { writer_id: 'ann' } },
      { writer: { ...writer, stage_id: '' } },
      { updated_at: 4 },
      { updated_at: null },
      { revision: 6 },
      { store: 'ie' },
      { size: 1 },
      { checksum: 'crc32:fffffffe' },
      { written_at: 6 },
      { anonymous: false },
      { key: 'l' },
      { metadata_checksum: 'crc32:00000000' },
      { metadata_checksum: undefined },
    ]
    for (const change of changes) {
      const parsed = parse(JSON.stringify({ ...(JSON.parse(text) as object), ...change }))
      expect(parsed, JSON.stringify(change)).toMatchObject({ own: null })
    }
  })

  test('count however the file is laid out', () => {
    const [first, ...rest] = Object.entries(JSON.parse(signed(complete)) as object)
    expect(parse(JSON.stringify(Object.fromEntries([...rest, first!])))?.own).not.toBeNull()
  })
})

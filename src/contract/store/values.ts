/** What goes in comes out, byte for byte; what can't go in is refused before anything changes. */
import { expect } from 'vitest'
import type { Value } from '../../api.js'
import { misuse, refusal } from '../observe.js'
import type { Given } from '../given.js'
import { LONE_SURROGATES } from './names.js'

export function values(given: Given): void {
  texts(given)
  bytes(given)
  ownership(given)
  refusing(given)
  entries(given)
}

const TEXTS: readonly string[] = [
  '',
  'plain',
  '\ufeffbyte order mark',
  'a\r\nb\rc\n',
  'NUL \0 inside',
  'e\u0301 is not \u00e9',
  '😀 \u{10ffff} \uffff \u2028',
  ' blanks kept \n',
]

function texts(given: Given): void {
  given.test('a text is read back as it was written: byte order mark, line ends, NUL and all', async () => {
    const session = await given.session()
    for (const [index, text] of TEXTS.entries()) {
      const key = `text-${index}`
      await session.write(key, text)
      expect(await session.read(key)).toBe(text)
      expect(await session.readBytes(key)).toEqual(new TextEncoder().encode(text))
      expect((await session.stat(key))?.size).toBe(Buffer.byteLength(text))
    }
  })
  given.test('a large text and large bytes are kept whole', async () => {
    const session = await given.session()
    const text = 'line with ünïcödé 😀\n'.repeat(100_000)
    const large = Uint8Array.from({ length: 3_000_001 }, (_, index) => (index * 7919) % 256)
    await session.write('text', text)
    await session.write('bytes', large)
    expect((await session.read('text')) === text).toBe(true)
    const found = await session.readBytes('bytes')
    expect(found !== null && Buffer.compare(found, large) === 0).toBe(true)
  })
}

function bytes(given: Given): void {
  given.test('bytes are read back as they were written, from any view on any buffer', async () => {
    const session = await given.session()
    const all = Uint8Array.from({ length: 256 }, (_, index) => index)
    const views: readonly Uint8Array[] = [
      all,
      all.subarray(100, 200),
      Buffer.from(all),
      Buffer.from('pooled'),
      new Uint8Array(0),
    ]
    for (const [index, view] of views.entries()) {
      await session.write(`b${index}`, view)
      const found = await session.readBytes(`b${index}`)
      expect(Array.from(found!)).toEqual(Array.from(view))
      expect((await session.stat(`b${index}`))?.size).toBe(view.byteLength)
    }
  })
  given.test('what is not UTF-8 is NOT_UTF8 as a text, and still readable as bytes', async () => {
    const session = await given.session()
    const broken = [
      [0xff],
      [0xc3],
      [0xed, 0xa0, 0x80],
      [0x61, 0x80],
      [0xf8, 0x88, 0x80, 0x80, 0x80],
      [0xc0, 0x80],
    ]
    let calls = 0
    for (const content of broken) {
      await session.write('k', Uint8Array.from(content))
      expect((await refusal('NOT_UTF8', () => session.read('k'))).key).toBe('k')
      await refusal('NOT_UTF8', () => session.update('k', () => ((calls += 1), 'x')))
      expect(Array.from((await session.readBytes('k'))!)).toEqual(content)
      expect(Array.from((await session.entry('k'))!.value)).toEqual(content)
    }
    expect(calls).toBe(0)
  })
}

function ownership(given: Given): void {
  given.test(
    'changing the bytes after the call of `write` or `batch` does not change what is stored',
    async () => {
      const session = await given.session()
      const mine = Uint8Array.from([1, 2, 3])
      const written = session.write('a', mine)
      const batched = session.batch([{ write: 'b', value: mine }])
      mine.fill(9)
      await Promise.all([written, batched])
      expect(Array.from((await session.readBytes('a'))!)).toEqual([1, 2, 3])
      expect(Array.from((await session.readBytes('b'))!)).toEqual([1, 2, 3])
    },
  )
  given.test(
    'bytes that were read are a copy: changing them changes nothing for the next reader',
    async () => {
      const session = await given.session()
      await session.write('k', Uint8Array.from([1, 2, 3]))
      ;(await session.readBytes('k'))!.fill(9)
      ;(await session.entry('k'))!.value.fill(9)
      for await (const entry of session.entries()) entry.value.fill(9)
      expect(Array.from((await session.readBytes('k'))!)).toEqual([1, 2, 3])
      expect(Array.from((await session.entry('k'))!.value)).toEqual([1, 2, 3])
      const first = await session.readBytes('k')
      expect(first).not.toBe(await session.readBytes('k'))
    },
  )
}

function refusing(given: Given): void {
  given.test('a text with a lone surrogate is INVALID_VALUE, and nothing changes', async () => {
    const session = await given.session()
    await session.write('k', 'before')
    for (const text of LONE_SURROGATES) {
      const error = await refusal('INVALID_VALUE', () => session.write('k', text))
      expect(error).toMatchObject({ outcome: 'unchanged', retryable: false })
      await refusal('INVALID_VALUE', () => session.update('k', () => text))
      await refusal('INVALID_VALUE', () =>
        session.batch([
          { write: 'other', value: 'x' },
          { write: 'k', value: text },
        ]),
      )
    }
    expect(await session.list()).toEqual(['k'])
    expect(await session.read('k')).toBe('before')
  })
  given.test(
    'a value that is neither a string nor a Uint8Array is a TypeError, and nothing changes',
    async () => {
      const session = await given.session()
      const wrong: readonly unknown[] = [
        ...[undefined, null, 1, true, 1n, Symbol('v'), {}, [1, 2], () => 'x', new Date()],
        ...[
          new ArrayBuffer(2),
          new DataView(new ArrayBuffer(2)),
          new Uint16Array(2),
          new Int8Array(2),
          new String('x'),
        ],
        ...[Promise.resolve('x'), { length: 1, 0: 1 }, Object.create(Uint8Array.prototype)],
      ]
      for (const value of wrong) {
        expect(await misuse(() => session.write('k', value as Value))).toBeInstanceOf(TypeError)
        expect(await misuse(() => session.batch([{ write: 'k', value: value as Value }]))).toBeInstanceOf(
          TypeError,
        )
      }
      expect(await misuse(() => session.update('k', () => 1 as unknown as Value))).toBeInstanceOf(TypeError)
      expect(await session.list()).toEqual([])
    },
  )
}

function entries(given: Given): void {
  given.test(
    '`entry` gives value, revision, writer, size and time of one moment; `stat` the same without the value',
    async () => {
      const session = await given.session({ writer: { writerId: 'ann', stageId: 'plan' } })
      const beforeMs = Date.now()
      const { revision } = await session.write('a/b', 'héllo')
      const afterMs = Date.now()
      const entry = (await session.entry('a/b'))!
      const { value, ...rest } = entry
      expect(new TextDecoder().decode(value)).toBe('héllo')
      expect(rest).toMatchObject({
        key: 'a/b',
        revision,
        size: 6,
        external: false,
        writer: { writerId: 'ann', stageId: 'plan' },
      })
      expect(rest.updatedAtMs).toBeGreaterThanOrEqual(beforeMs)
      expect(rest.updatedAtMs).toBeLessThanOrEqual(afterMs)
      const stat = (await session.stat('a/b'))!
      expect(stat).toEqual(rest)
      expect(stat).not.toHaveProperty('value')
    },
  )
  given.test('what is missing is null', async () => {
    const session = await given.session()
    expect(await session.read('k')).toBeNull()
    expect(await session.readBytes('k')).toBeNull()
    expect(await session.readJson('k')).toBeNull()
    expect(await session.entry('k')).toBeNull()
    expect(await session.stat('k')).toBeNull()
    expect(await session.readHandoff()).toBeNull()
  })
}

/** What `heads`, `read` and `load` give back. */
import { expect } from 'vitest'
import type { Value } from '../../api.js'
import {
  AT_MS,
  changing,
  commit,
  creating,
  headOf,
  keysOf,
  plainHead,
  textOf,
  valueOf,
  write,
  type GivenBackend,
} from './given-backend.js'
import { nextTurn } from '../observe.js'

export function reading(given: GivenBackend): void {
  heads(given)
  values(given)
  several(given)
  names(given)
}

function heads(given: GivenBackend): void {
  given.test(
    'a head says what was committed: revision, writer and when, anonymous or not, size and time',
    async () => {
      const { backend } = await given.open()
      const writer = { writerId: 'ann', stageId: 's', sessionId: '', workerId: 'ü' }
      const first = await commit(
        backend,
        creating('n', [write('named', 'héllo', writer), write('nobody', new Uint8Array(3))]),
      )
      expect(await headOf(backend, 'n', 'named')).toEqual({
        revision: first + 1,
        writer,
        writerAtS: Math.floor(AT_MS / 1000),
        anonymous: false,
        external: false,
        size: 6,
        updatedAtMs: AT_MS,
      })
      const nobody = await headOf(backend, 'n', 'nobody')
      expect(nobody).toMatchObject({
        writer: null,
        writerAtS: null,
        anonymous: true,
        external: false,
        size: 3,
      })
    },
  )
  given.test('an anonymous change keeps the last named writer and when it wrote', async () => {
    const { backend } = await given.open()
    await commit(backend, creating('n', [write('k', '1', { writerId: 'ann' })]))
    const kept = { ...write('k', '22'), writer: { writerId: 'ann' }, writerAtS: 7, anonymous: true } as const
    const plan = { ...changing('n', [kept]), atMs: AT_MS + 5000 }
    const revision = await commit(backend, plan)
    expect(await headOf(backend, 'n', 'k')).toMatchObject({
      revision,
      writer: { writerId: 'ann' },
      writerAtS: 7,
      anonymous: true,
      size: 2,
      updatedAtMs: AT_MS + 5000,
    })
  })
  given.test('`read` gives head and value of one moment', async () => {
    const { backend } = await given.open()
    await commit(backend, creating('n', [write('k', '0', { writerId: 'w0' })]))
    let isOver = false
    const done = (async () => {
      for (let round = 1; round <= 100; round += 1) {
        await commit(backend, changing('n', [write('k', 'x'.repeat(round), { writerId: `w${round}` })]))
      }
    })().finally(() => (isOver = true))
    while (!isOver) {
      await nextTurn()
      const [answer] = await backend.read('n', ['k'])
      const head = plainHead(answer!.head)!
      expect(head.size).toBe(answer!.value!.byteLength)
      if (head.size > 1) expect(head.writer).toEqual({ writerId: `w${head.size}` })
    }
    await done
  })
}

function values(given: GivenBackend): void {
  given.test(
    'values are kept byte for byte: empty, binary, text with byte order mark, and 8 MiB',
    async () => {
      const { backend } = await given.open()
      const all = Uint8Array.from({ length: 256 }, (_, index) => index)
      const large = Uint8Array.from({ length: 8 * 1024 * 1024 }, (_, index) => (index * 31) % 251)
      const contents: readonly Value[] = [
        '',
        new Uint8Array(0),
        '\ufefftext',
        'NUL \0 and 😀\r\n',
        all,
        all.subarray(7, 99),
        large,
        'ü'.repeat(1_000_000),
      ]
      await commit(backend, creating('n'))
      for (const [index, content] of contents.entries())
        await commit(backend, changing('n', [write(`k${index}`, content)]))
      for (const [index, content] of contents.entries()) {
        const found = await valueOf(backend, 'n', `k${index}`)
        expect(
          found !== null && Buffer.compare(found, Buffer.from(content as string)) === 0,
          `k${index}`,
        ).toBe(true)
        expect((await headOf(backend, 'n', `k${index}`))?.size).toBe(found!.byteLength)
      }
    },
  )
  given.test('values are read back the same when the tree has them', async () => {
    const { backend } = await given.open()
    const large = Uint8Array.from({ length: 1024 * 1024 }, (_, index) => (index * 31) % 251)
    await commit(
      backend,
      creating('n', [write('large', large), write('a/b/c', 'text', { writerId: 'ann' }), write('empty', '')]),
    )
    const before = await backend.heads('n', ['large', 'a/b/c', 'empty'])
    await backend.flush()
    expect(Buffer.compare((await valueOf(backend, 'n', 'large'))!, large)).toBe(0)
    expect(await textOf(backend, 'n', 'a/b/c')).toBe('text')
    expect(await textOf(backend, 'n', 'empty')).toBe('')
    expect(await backend.heads('n', ['large', 'a/b/c', 'empty'])).toEqual(before)
  })
}

function several(given: GivenBackend): void {
  given.test('answers come in the order of the keys; missing ones are null', async () => {
    const { backend } = await given.open()
    await commit(backend, creating('n', [write('a', '1'), write('b/c', '22')]))
    const asked = ['b/c', 'missing', 'a', 'b', 'a/below', 'b/c']
    const found = await backend.heads('n', asked)
    expect(found.map((answer) => plainHead(answer)?.size ?? null)).toEqual([2, null, 1, null, null, 2])
    const answers = await backend.read('n', asked)
    expect(answers.map((answer) => answer.value?.byteLength ?? null)).toEqual([2, null, 1, null, null, 2])
    expect(answers.every((answer) => answer.error === undefined)).toBe(true)
    expect(await backend.heads('n', [])).toEqual([])
    expect(await backend.read('n', [])).toEqual([])
  })
  given.test('what is asked of a namespace that is not there is missing', async () => {
    const { backend } = await given.open()
    expect(await backend.heads('nowhere', ['k'])).toEqual([null])
    expect((await backend.read('nowhere', ['k']))[0]).toMatchObject({ head: null, value: null })
    expect(await backend.namespaces()).toEqual([])
  })
  given.test('`load` gives all keys of a large namespace', async () => {
    const { backend } = await given.open()
    const keys = Array.from({ length: 3000 }, (_, index) => `d${index % 13}/e${index % 7}/k${index}`)
    await commit(backend, creating('n'))
    for (let start = 0; start < keys.length; start += 500) {
      await commit(
        backend,
        changing(
          'n',
          keys.slice(start, start + 500).map((key) => write(key, key)),
        ),
      )
    }
    expect(await keysOf(backend, 'n')).toEqual([...keys].sort())
    await backend.flush()
    expect(await keysOf(backend, 'n')).toEqual([...keys].sort())
  })
}

function names(given: GivenBackend): void {
  const long = 'c'.repeat(250)
  const keys = [
    '__proto__',
    'constructor',
    'a.json/b',
    'a',
    ' lead',
    'line\nbreak',
    'ü/😀',
    long,
    `${'d/'.repeat(100)}e`,
    '...',
    '.hidden',
  ]
  given.test('names of all kinds are kept as they are, before and after the tree has them', async () => {
    const { backend } = await given.open()
    for (const namespace of ['__proto__', 'n'.repeat(200), ' blank ']) {
      await commit(
        backend,
        creating(
          namespace,
          keys.map((key) => write(key, `of ${key}`)),
        ),
      )
      for (const flush of [false, true]) {
        if (flush) await backend.flush()
        expect(await keysOf(backend, namespace)).toEqual([...keys].sort())
        for (const key of keys) expect(await textOf(backend, namespace, key)).toBe(`of ${key}`)
      }
    }
  })
  given.testUnless(
    'distinct-names',
    'names that differ in case or in Unicode form are different names',
    async () => {
      const { backend, answer } = await given.open()
      const alike = ['k', 'K', '\u00e9', 'e\u0301']
      expect(answer.foldName).toBeNull()
      await commit(
        backend,
        creating(
          'n',
          alike.map((key) => write(key, key)),
        ),
      )
      await backend.flush()
      for (const key of alike) expect(await textOf(backend, 'n', key)).toBe(key)
    },
  )
}

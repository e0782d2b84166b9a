/** Which keys there are, and how they are written. */
import { expect } from 'vitest'
import type { Session } from '../../api.js'
import { collect, misuse, record, refusal } from '../observe.js'
import type { Given } from '../given.js'
import { LONE_SURROGATES, OBJECT_NAMES, SORTED_KEYS, WHITE_SPACE } from './names.js'

export function keys(given: Given): void {
  normalizing(given)
  accepting(given)
  objectNames(given)
  refusing(given)
  lengths(given)
  order(given)
}

/** Every method that takes a key. */
export const WITH_KEY: Readonly<Record<string, (session: Session, key: string) => Promise<unknown>>> = {
  read: (session, key) => session.read(key),
  readBytes: (session, key) => session.readBytes(key),
  readJson: (session, key) => session.readJson(key),
  entry: (session, key) => session.entry(key),
  stat: (session, key) => session.stat(key),
  write: (session, key) => session.write(key, 'x'),
  writeJson: (session, key) => session.writeJson(key, 1),
  delete: (session, key) => session.delete(key),
  update: (session, key) => session.update(key, () => 'x'),
  batch: (session, key) => session.batch([{ write: key, value: 'x' }]),
  'batch (delete)': (session, key) => session.batch([{ delete: key }]),
}

function normalizing(given: Given): void {
  const spellings: readonly (readonly [string, string])[] = [
    ['  a  ', 'a'],
    ['a//b', 'a/b'],
    ['./a', 'a'],
    ['a/', 'a'],
    ['a/.', 'a'],
    ['a/./b', 'a/b'],
    [' ./a//./b/ ', 'a/b'],
    ['./ a', ' a'],
    ...WHITE_SPACE.map((space): [string, string] => [`${space}k${space}`, 'k']),
  ]
  given.test(
    'a key is trimmed of Unicode white space and its empty and `.` components are left out',
    async () => {
      for (const [spelling, normalized] of spellings) {
        const session = await given.session()
        const result = await session.write(spelling, spelling)
        expect(result.key, JSON.stringify(spelling)).toBe(normalized)
        expect(await session.list()).toEqual([normalized])
        expect(await session.read(`./${normalized}`)).toBe(spelling)
      }
    },
  )
  given.test('every method takes the same spellings of a key', async () => {
    const session = await given.session()
    await session.write('a/b', 'text')
    expect(await session.read(' ./a//b/ ')).toBe('text')
    expect((await session.entry('a/./b'))?.key).toBe('a/b')
    expect((await session.stat('a/b/'))?.key).toBe('a/b')
    expect(await session.update('a//b', (value) => `${value}!`)).toMatchObject({ key: 'a/b' })
    expect(await session.batch([{ write: './a/b', value: '2' }])).toMatchObject([{ key: 'a/b' }])
    expect(await session.delete('a/b/.')).toMatchObject({ key: 'a/b', deleted: true })
    expect(await session.list()).toEqual([])
  })
  given.test(
    'a key that begins with white space is reached by every method, and the one without is not',
    async () => {
      const session = await given.session({ writer: { writerId: 'w' }, detect: 'lost-update' })
      await session.writeJson('./ a', 'it')
      await session.writeJson('a', 'the other')
      expect(await session.read('./ a')).toBe('"it"\n')
      expect(await session.readBytes('./ a')).toEqual(new TextEncoder().encode('"it"\n'))
      expect(await session.readJson('./ a')).toBe('it')
      expect((await session.entry('./ a'))?.key).toBe(' a')
      expect((await session.stat('./ a'))?.key).toBe(' a')
      expect(await session.update('./ a', (value) => `${value}!`)).toMatchObject({ key: ' a' })
      expect(await session.batch([{ write: './ a', value: 'x' }])).toMatchObject([{ key: ' a' }])
      expect((await refusal('SCHEMA_MISMATCH', () => session.readJson('./ a'))).key).toBe(' a')
      expect(await session.delete('./ a')).toMatchObject({ key: ' a', deleted: true })
      expect(await session.list()).toEqual(['a'])
    },
  )
  given.test('U+FEFF and U+200B are not white space: they are part of the key', async () => {
    const session = await given.session()
    for (const key of ['\ufeffk', 'k\u200b', 'k']) expect((await session.write(key, key)).key).toBe(key)
    expect(await session.list()).toEqual(['k', 'k\u200b', '\ufeffk'])
  })
}

function accepting(given: Given): void {
  const plain = [
    'a /b',
    'a\\b',
    'C:\\x',
    '...',
    '.hidden',
    '.a/.b',
    'line\nbreak',
    '-',
    '~',
    '*',
    'ünï',
    'con',
    'a.json',
    'a:b',
  ]
  given.test('blanks inside, backslashes, dots, line breaks and the like are ordinary in keys', async () => {
    const session = await given.session()
    for (const key of plain) expect((await session.write(key, `of ${key}`)).key).toBe(key)
    for (const key of plain) expect(await session.read(key)).toBe(`of ${key}`)
    expect((await session.list()).length).toBe(plain.length)
    for (const key of plain) expect(await session.delete(key)).toMatchObject({ key, deleted: true })
    expect(await session.list()).toEqual([])
  })
  given.testUnless(
    'distinct-names',
    'composed and decomposed forms, upper and lower case are different keys',
    async () => {
      const session = await given.session()
      const names = ['\u00e9', 'e\u0301', 'Case', 'case', 'CASE']
      for (const key of names) await session.write(key, key)
      for (const key of names) expect(await session.read(key)).toBe(key)
      expect(await session.list()).toEqual(['CASE', 'Case', 'case', 'e\u0301', '\u00e9'])
    },
  )
}

function objectNames(given: Given): void {
  given.test('names such as `__proto__` and `constructor` are ordinary keys', async () => {
    const session = await given.session({ writer: { writerId: 'w' } })
    for (const key of OBJECT_NAMES) {
      expect(await session.read(key), key).toBeNull()
      expect(await session.stat(key), key).toBeNull()
      expect(await session.delete(key), key).toMatchObject({ deleted: false })
    }
    for (const key of OBJECT_NAMES) await session.write(key, `of ${key}`)
    for (const key of OBJECT_NAMES) expect(await session.read(key)).toBe(`of ${key}`)
    expect(await session.list()).toEqual([...OBJECT_NAMES].sort())
    await session.batch(OBJECT_NAMES.map((key) => ({ delete: key })))
    expect(await session.list()).toEqual([])
    expect(({} as Record<string, unknown>)['of']).toBeUndefined()
  })
  given.test('they are ordinary components of keys too', async () => {
    const session = await given.session()
    const nested = ['__proto__/__proto__', 'constructor/prototype', 'toString/x']
    for (const key of nested) await session.write(key, key)
    for (const key of nested) expect(await session.read(key)).toBe(key)
    expect(await session.list()).toEqual(nested)
  })
}

function refusing(given: Given): void {
  const bad: readonly string[] = [
    ...['', ' ', '\u0085\u3000', '.', './', './.', ' ./ '],
    ...['/', '/a', ' /a', '//a'],
    ...['..', 'a/..', '../a', 'a/../b', './..', '..//'],
    ...[
      '.agent_state_meta',
      'a/.agent_state_meta',
      '.agent_state_meta/a',
      'x.agent_state_tmp',
      'a/.x.agent_state_tmp.y/b',
    ],
    ...['\0', 'a\0b', 'a/\0'],
    ...LONE_SURROGATES,
    ...LONE_SURROGATES.map((text) => `a/${text}/b`),
  ]
  given.test(
    'a key that is empty, absolute, escaping, reserved or not storable is INVALID_KEY everywhere, and nothing changes',
    async () => {
      const session = await given.session()
      const changes = record(given.store().events, 'change', { namespace: session.namespace })
      for (const key of bad) {
        for (const [method, call] of Object.entries(WITH_KEY)) {
          const error = await refusal('INVALID_KEY', () => call(session, key)).catch((cause: unknown) => {
            throw new Error(`${method}(${JSON.stringify(key)})`, { cause })
          })
          expect(error.outcome).toBe('unchanged')
          expect(error.retryable).toBe(false)
        }
      }
      expect(await session.list()).toEqual([])
      await session.write('marker', '')
      expect((await changes.until((change) => change.key === 'marker')).length).toBe(1)
      changes.stop()
    },
  )
  given.test('names that only resemble reserved ones are ordinary', async () => {
    const session = await given.session()
    const names = [
      '.agent_state',
      '.agent_state_metadata',
      'agent_state_meta',
      'agent_state_tmp',
      '..a',
      'a..',
      '...',
    ]
    for (const key of names) await session.write(key, '')
    expect(await session.list()).toEqual([...names].sort())
  })
  given.test('a key that is not a string is a TypeError', async () => {
    const session = await given.session()
    for (const key of [undefined, null, 1, {}, ['a'], Symbol('a'), new String('a')]) {
      for (const call of Object.values(WITH_KEY)) {
        expect(await misuse(() => call(session, key as string))).toBeInstanceOf(TypeError)
      }
    }
    expect(await session.list()).toEqual([])
  })
}

function lengths(given: Given): void {
  given.test('I7: a component of 250 bytes works, one of 251 is refused and nothing changes', async () => {
    const session = await given.session()
    const longest = ['c'.repeat(250), `d/${'ü'.repeat(125)}/e`, `${'😀'.repeat(62)}xy/z`]
    for (const key of longest) {
      await session.write(key, 'content')
      expect(await session.read(key)).toBe('content')
    }
    for (const key of ['c'.repeat(251), `d/${'ü'.repeat(125)}x/e`, `f/${'😀'.repeat(63)}`]) {
      const error = await refusal('INVALID_KEY', () => session.write(key, 'content'))
      expect(error.outcome).toBe('unchanged')
    }
    expect((await session.list()).length).toBe(longest.length)
  })
  given.test('I9: a key of 1,024 bytes works, one byte more is refused', async () => {
    const session = await given.session()
    const component = 'k'.repeat(204)
    const longest = [component, component, component, component, component].join('/')
    expect(longest.length).toBe(1024)
    await session.write(longest, 'content')
    expect(await session.read(longest)).toBe('content')
    const longer = `${longest}k`
    const error = await refusal('LIMIT_EXCEEDED', () => session.write(longer, 'content'))
    expect(error).toMatchObject({ limit: 'keyBytesMax', max: 1024, actual: 1025, outcome: 'unchanged' })
    expect(await session.list()).toEqual([longest])
  })
}

function order(given: Given): void {
  given.test('keys are listed in the order of their UTF-8 bytes', async () => {
    const session = await given.session()
    for (const key of [...SORTED_KEYS].reverse()) await session.write(key, key)
    expect(await session.list()).toEqual(SORTED_KEYS)
    const entries = await collect(session.entries())
    expect(entries.map((entry) => entry.key)).toEqual(SORTED_KEYS)
  })
}

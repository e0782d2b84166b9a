/**
 * Everything at its limit, and one byte over, with real files: what is taken can be brought into the tree, found again after an
 * unclean end, and deleted; what is not is refused before anything changes (I7, I9).
 */
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Operation, Session, Store } from '../../src/api.js'
import { collect, refusal } from '../../src/contract/observe.js'
import { openStore } from '../../src/store.js'
import { fastBackend, leaveRoot } from '../damage/support/left-root.js'
import { expectUnaffected, openDamaged } from '../damage/support/open-damaged.js'
import { temporaryDirectory } from '../damage/support/temporary-directory.js'
import { tortureSettings } from '../durability/support/settings.js'

const MIB = 2 ** 20

/** Texts of one, two, three and four bytes a character: none ends where the limit is unless it is filled up. */
const ALL_LETTERS = ['a', '\u65e5', '\n', '\u{1f642}', 'e\u0301', '\\', '\u00e9', '"', '%'] as const
const LETTERS = tortureSettings().isLong ? ALL_LETTERS : ALL_LETTERS.slice(0, 3)

function filled(letter: string, bytes: number, first = 'x'): string {
  const text = first + letter.repeat(Math.floor((bytes - 2) / Buffer.byteLength(letter)))
  return text + 'x'.repeat(bytes - Buffer.byteLength(text))
}

async function opened(
  root = temporaryDirectory(),
): Promise<{ root: string; store: Store; session: Session }> {
  const store = await openStore({ backend: fastBackend(root) })
  onTestFinished(() => store.close({ flush: false }).catch(() => {}))
  return { root, store, session: await store.init('n', { writer: { writerId: 'ada' } }) }
}

/** The longest keys there are: of one component, of many, as deep as it goes. */
function longKeys(letter: string): string[] {
  const component = filled(letter, 250)
  const rest = 1024 - 4 * 251
  return [
    filled(letter, 250, 'y'),
    `${component}/${component}/${component}/${component}/${filled(letter, rest)}`,
    `${'d/'.repeat(386)}${component}/f`,
  ]
}

describe.each(LETTERS)('names made of %j', (letter) => {
  test('I7: at every limit have files, are found after an unclean end, and can be deleted', async () => {
    const namespace = filled(letter, 200)
    const keys = longKeys(letter)
    expect(keys.map((key) => Buffer.byteLength(key))).toEqual([250, 1024, 1024])
    const left = await leaveRoot(
      'killed at once',
      async (store) => {
        const session = await store.init(namespace)
        for (const key of keys.slice(1)) await session.write(key, key)
      },
      async (store) => {
        const session = await store.init(namespace)
        for (const key of keys) await session.write(key, `again ${key}`)
      },
    )
    expect(Object.keys(left.shown[namespace]!).sort()).toEqual(keys.toSorted())
    const root = left.copy()
    expectUnaffected(await openDamaged(root), left)
    for (const key of keys) expect(readFileSync(`${root}/${namespace}/${key}`, 'utf8')).toBe(`again ${key}`)
    const { store } = await opened(root)
    const session = await store.resume(namespace)
    for (const key of keys) await session.delete(key, { durability: 'tree' })
    expect(await session.list()).toEqual([])
    await store.remove(namespace)
    await store.close()
    expect(existsSync(`${root}/${namespace}`)).toBe(false)
  })

  test('I7: one byte over a limit are refused, and nothing is made', async () => {
    const { root, store, session } = await opened()
    const [component, many, deep] = longKeys(letter) as [string, string, string]
    for (const key of [`${component}x`, `a/${component}x/b`]) {
      await refusal('INVALID_KEY', () => session.write(key, ''))
    }
    for (const key of [`${many}x`, `${deep}x`]) {
      const error = await refusal('LIMIT_EXCEEDED', () => session.write(key, ''))
      expect(error).toMatchObject({ limit: 'keyBytesMax', max: 1024, actual: 1025 })
    }
    await refusal('INVALID_NAMESPACE', () => store.init(`${filled(letter, 200)}x`))
    expect(await session.list()).toEqual([])
    expect(await collect(store.namespaces())).toEqual(['n'])
    await store.close()
    expect(existsSync(`${root}/n/a`)).toBe(false)
  })
})

describe('identities', () => {
  test('at their limit are kept, in files and in conflicts; one byte over is refused', async () => {
    const { root, store } = await opened()
    for (const letter of LETTERS) {
      const text = filled(letter, 1024)
      const writer = { writerId: text, stageId: text, sessionId: text, workerId: text }
      const session = await store.init('w', { writer })
      await session.write('k', letter, { durability: 'tree' })
      expect((await session.stat('k'))!.writer).toEqual(writer)
      expect(JSON.parse(readFileSync(`${root}/w/.agent_state_meta/k.json`, 'utf8')).writer.writer_id).toBe(
        text,
      )
      for (const name of Object.keys(writer)) {
        await expect(store.init('w', { writer: { ...writer, [name]: `${text}x` } })).rejects.toThrow(
          RangeError,
        )
      }
    }
  })
})

describe('values', () => {
  test.each([
    ['text', () => 'v'.repeat(8 * MIB)],
    ['text of several bytes a character', () => '\u65e5'.repeat((8 * MIB - 2) / 3) + 'xx'],
    ['bytes', () => new Uint8Array(8 * MIB).fill(0xff)],
  ])('I1, I9: of 8 MiB of %s survive an unclean end; one byte over is refused', async (_, make) => {
    const value = make()
    const text = Buffer.from(value).toString('latin1')
    const left = await leaveRoot(
      'killed at once',
      async () => {},
      async (store) => {
        const session = await store.init('n')
        await session.write('k', value)
        const more = typeof value === 'string' ? `${value}x` : new Uint8Array(8 * MIB + 1)
        const error = await refusal('LIMIT_EXCEEDED', () => session.write('k', more))
        expect(error).toMatchObject({ limit: 'valueBytesMax', max: 8 * MIB, actual: 8 * MIB + 1 })
      },
    )
    expect(left.shown['n']!['k']!.value === text).toBe(true)
    const outcome = await openDamaged(left.copy())
    if (outcome.kind === 'refused') throw outcome.error
    expect(outcome.shown['n']!['k']!.value === text).toBe(true)
  })

  test('of no bytes at all are values, too', async () => {
    const left = await leaveRoot(
      'killed at once',
      async () => {},
      async (store) => {
        await (await store.init('n')).write('k', '')
      },
    )
    expectUnaffected(await openDamaged(left.copy()), left)
    expect(left.shown['n']!['k']!.value).toBe('')
  })
})

describe('batches', () => {
  test('I4, I9: of 10,000 operations are one; of one more are refused', async () => {
    const { root, store, session } = await opened()
    const operations = Array.from({ length: 10_000 }, (_, index): Operation => ({
      write: `k${index}`,
      value: 'v',
    }))
    const error = await refusal('LIMIT_EXCEEDED', () =>
      session.batch([...operations, { write: 'more', value: '' }]),
    )
    expect(error).toMatchObject({ limit: 'queueOperationsMax', max: 10_000, actual: 10_001 })
    expect(await session.list()).toEqual([])
    const results = await session.batch(operations)
    expect(new Set(results.map(({ revision }) => revision)).size).toBe(1)
    await store.close({ flush: false }).catch(() => {})
    const again = await opened(root)
    expect(await again.session.list()).toHaveLength(10_000)
  })

  test('I4, I9: of 64 MiB are one, in a frame that needs a segment of its own; of one byte more are refused', async () => {
    const value = new Uint8Array(8 * MIB).fill(7)
    const batch = Array.from({ length: 8 }, (_, index): Operation => ({ write: `k${index}`, value }))
    const { root, store, session } = await opened()
    const error = await refusal('LIMIT_EXCEEDED', () =>
      session.batch([...batch, { write: 'more', value: 'x' }]),
    )
    expect(error).toMatchObject({ limit: 'queueBytesMax', max: 64 * MIB, actual: 64 * MIB + 1 })
    await session.batch(batch)
    await store.close({ flush: false }).catch(() => {})
    const again = await opened(root)
    for (let index = 0; index < 8; index++) {
      expect(Buffer.compare((await again.session.readBytes(`k${index}`))!, value)).toBe(0)
    }
  })
})

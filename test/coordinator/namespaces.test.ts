import { bytesOf } from './coordinated.js'
import type { KeyView } from '../../src/coordinator/conflict.js'
import { valueOf } from '../../src/coordinator/value-cache.js'
import { describe, expect, test } from 'vitest'
import type { Backend, Head } from '../../src/backend/backend.js'
import { FOUND_MAX, Namespaces } from '../../src/coordinator/namespaces.js'
import { changedBy, KeyState, NamespaceState } from '../../src/coordinator/namespace-state.js'
import { deferred, failureOf } from '../../src/contract/observe.js'
import { DEFAULT_LIMITS, type Limits } from '../../src/limits.js'

const ann = { writerId: 'ann' }

function headOf(revision: number, more: Partial<Head> = {}): Head {
  return {
    revision,
    writer: ann,
    writerAtS: 1,
    anonymous: false,
    external: false,
    size: 10,
    updatedAtMs: 1,
    ...more,
  }
}

/** Namespaces over a backend that has the given keys, or whatever `load` says. */
function given(limits: Partial<Limits> = {}, stored: Readonly<Record<string, readonly string[]>> = {}) {
  const loads: string[] = []
  const backend = {
    load: (name: string): Promise<{ exists: boolean; keys: readonly string[] }> => {
      loads.push(name)
      return made.load(name)
    },
  }
  const inUse = new Set<NamespaceState>()
  const all = { ...DEFAULT_LIMITS, ...limits }
  const namespaces = new Namespaces(backend as unknown as Backend, all, (state) => inUse.has(state))
  namespaces.opened(50, null)
  const made = {
    namespaces,
    loads,
    inUse,
    load: (name: string) => Promise.resolve({ exists: name in stored, keys: stored[name] ?? [] }),
  }
  return made
}

async function loaded({ namespaces }: ReturnType<typeof given>, name: string): Promise<NamespaceState> {
  const state = namespaces.get(name)
  await namespaces.load(state)
  return state
}

/** What was just used is let go at the second trimming. */
function trim(namespaces: Namespaces): void {
  namespaces.trim()
  namespaces.trim()
}

describe('loading', () => {
  test('happens once for all who ask meanwhile', async () => {
    const made = given({}, { n: ['a', 'b'] })
    const state = made.namespaces.get('n')
    const [first, second] = [made.namespaces.load(state), made.namespaces.load(state)]
    expect(second).toBe(first)
    await first
    expect(made.namespaces.load(state)).toBeNull()
    expect(made.loads).toEqual(['n'])
    expect([state.exists, state.names.sorted()]).toEqual([true, ['a', 'b']])
  })

  test('that failed can be tried again', async () => {
    const made = given({}, { n: [] })
    const { load } = made
    made.load = () => Promise.reject(new Error('EIO'))
    const state = made.namespaces.get('n')
    expect(await failureOf(() => made.namespaces.load(state))).toMatchObject({ message: 'EIO' })
    made.load = load
    await made.namespaces.load(state)
    expect(state.exists).toBe(true)
  })

  test("what happened before is in nobody's memory: changes are known from the highest revision on", async () => {
    const made = given({}, { a: [], b: [] })
    const state = await loaded(made, 'a')
    expect([state.lastRevision, state.inHistory.compactedRevision]).toEqual([50, 50])
    made.namespaces.setCreated(state, 60)
    const other = await loaded(made, 'b')
    expect(other.inHistory.compactedRevision).toBe(60)
  })

  test('I7: names are folded as the medium does', async () => {
    const made = given({}, { n: ['Name'] })
    made.namespaces.opened(1, (name) => name.toLowerCase())
    const state = await loaded(made, 'n')
    expect([...state.names.otherSpellings('name')]).toEqual(['Name'])
  })
})

function viewOf({ revision, identity, changedBy }: KeyState): KeyView {
  return { revision, identity, changedBy }
}

describe('what is known of a key', () => {
  test('a key that is not among the names is missing; one that is has to be looked up', async () => {
    const state = await loaded(given({}, { n: ['a'] }), 'n')
    expect([state.key('a').head, state.key('b').head]).toEqual([undefined, null])
    expect(state.key('a')).toBe(state.key('a'))
    expect(() => state.key('a').revision).toThrow('not loaded')
  })

  test('who changed it last: nobody, if that was anonymous or somebody else', () => {
    const state = new NamespaceState('n')
    const key = new KeyState('k', state, null)
    expect(viewOf(key)).toEqual({ revision: null, identity: null, changedBy: null })
    key.setWritten(headOf(5))
    expect(viewOf(key)).toEqual({ revision: 5, identity: ann, changedBy: ann })
    expect(changedBy(headOf(5, { anonymous: true }))).toBeNull()
    expect(changedBy(headOf(5, { external: true }))).toBeNull()
    key.setDeleted(ann)
    expect(viewOf(key)).toEqual({ revision: null, identity: null, changedBy: ann })
    key.setLoaded({ corrupt: '/meta', head: headOf(6) })
    expect([key.corruptMetadata, key.head?.revision]).toEqual(['/meta', 6])
    key.setWritten(headOf(7))
    expect(key.corruptMetadata).toBeNull()
  })

  test('changes keep the names, the value and the last revision together', async () => {
    const made = given({}, { n: ['old'] })
    const state = await loaded(made, 'n')
    const { namespaces } = made
    namespaces.setWritten(state.key('new'), headOf(51), bytesOf('value'))
    expect([state.names.sorted(), valueOf(state.key('new')), state.lastRevision]).toEqual([
      ['new', 'old'],
      bytesOf('value'),
      51,
    ])
    namespaces.setDeleted(state.key('new'), 52, ann)
    expect([state.names.sorted(), valueOf(state.key('new')), state.lastRevision]).toEqual([
      ['old'],
      undefined,
      52,
    ])
    namespaces.setFound(state.key('old'), null)
    namespaces.setFound(state.key('found'), headOf(53))
    expect(state.names.sorted()).toEqual(['found'])
    namespaces.setRemoved(state, 54)
    expect([state.exists, state.names.count, state.key('found').head]).toEqual([false, 0, null])
  })

  test('the last revision never goes back, although a change may be found after one that was begun before', async () => {
    const made = given({}, { n: ['k', 'l'] })
    const state = await loaded(made, 'n')
    made.namespaces.setDeleted(state.key('l'), 60, null)
    made.namespaces.setWritten(state.key('k'), headOf(59), Buffer.alloc(0))
    expect(state.lastRevision).toBe(60)
  })
})

describe('I9: memory', () => {
  test('values are let go beyond their bound, the least used first; heads stay', async () => {
    const made = given({ cacheBytesMax: 8000 }, { n: [] })
    const state = await loaded(made, 'n')
    for (let index = 0; index < 10; index++) {
      made.namespaces.setWritten(
        state.key(`k${index}`),
        headOf(51 + index, { size: 2000 }),
        Buffer.alloc(2000),
      )
    }
    state.key('k0').isValueUsed = true
    made.namespaces.trim()
    const kept = [...state.keys.values()]
      .filter(({ valuePiece }) => valuePiece !== null)
      .map(({ key }) => key)
    expect(kept.length).toBe(3)
    expect(kept).toContain('k0')
    expect([...state.keys.values()].every(({ head }) => head != null)).toBe(true)
  })

  test('heads are let go beyond their bound, but not those that somebody needs', async () => {
    const made = given({ headBytesMax: 5000 }, { n: [] })
    const state = await loaded(made, 'n')
    state.users++
    for (let index = 0; index < 100; index++) {
      made.namespaces.setWritten(state.key(`k${index}`), headOf(51 + index), Buffer.alloc(0))
    }
    state.key('k0').pins++
    trim(made.namespaces)
    expect(state.keys.size).toBeLessThan(20)
    expect(state.keys.has('k0')).toBe(true)
    expect(state.names.count).toBe(100)
    expect(state.key('k1').head).toBeUndefined()
  })

  test('namespaces that nobody uses go as a whole, with all that was known of their keys', async () => {
    const made = given({ headBytesMax: 3000 })
    for (let index = 0; index < 20; index++) {
      const state = await loaded(made, `n${index}`)
      made.namespaces.setWritten(state.key('k'), headOf(51 + index), Buffer.from('v'))
    }
    trim(made.namespaces)
    const left = Array.from({ length: 20 }, (_, index) => made.namespaces.find(`n${index}`)).filter(Boolean)
    expect(left.length).toBeLessThan(4)
  })

  test('the one that was used last stays, also if it is larger than the bound: the next call would load it again', async () => {
    const made = given(
      { headBytesMax: 1 },
      { large: Array.from({ length: 1000 }, (_, index) => `k${index}`) },
    )
    for (let call = 0; call < 10; call++) {
      await loaded(made, 'large')
      trim(made.namespaces)
    }
    expect(made.loads).toEqual(['large'])
    await loaded(made, 'other')
    trim(made.namespaces)
    expect(made.namespaces.find('large')).toBeUndefined()
  })

  test('one that is used, watched or written to stays', async () => {
    const made = given({ headBytesMax: 1 }, { n: ['a'] })
    const [free, watched, written, pinned] = [
      await loaded(made, 'free'),
      await loaded(made, 'watched'),
      await loaded(made, 'written'),
      await loaded(made, 'pinned'),
    ]
    await loaded(made, 'last')
    watched.users++
    made.inUse.add(written)
    pinned.key('k').pins++
    trim(made.namespaces)
    expect(['watched', 'written', 'pinned', 'free'].map((name) => made.namespaces.find(name))).toEqual([
      watched,
      written,
      pinned,
      undefined,
    ])
    expect(free.load.status).toBe('loaded')
  })

  test('one that is being loaded stays: whoever waits for it is to find it', async () => {
    const made = given({ headBytesMax: 1 }, { n: ['a'] })
    const loading = deferred<{ exists: boolean; keys: readonly string[] }>()
    made.load = () => loading.promise
    const state = made.namespaces.get('n')
    const waiting = made.namespaces.load(state)
    trim(made.namespaces)
    loading.resolve({ exists: true, keys: ['a'] })
    await waiting
    expect(made.namespaces.find('n')).toBe(state)
  })

  test('one that was only asked for, or could not be loaded, goes too', async () => {
    const made = given({ headBytesMax: 10_000 })
    made.load = () => Promise.reject(new Error('EIO'))
    for (let index = 0; index < 100; index++) {
      const state = made.namespaces.get(`n${index}`)
      if (index % 2 === 0) await failureOf(() => made.namespaces.load(state))
      trim(made.namespaces)
    }
    const left = Array.from({ length: 100 }, (_, index) => made.namespaces.find(`n${index}`)).filter(Boolean)
    expect(left.length).toBeLessThan(12)
  })

  test('a revision that was given to a found change stays, until a change of our own takes its place', async () => {
    const made = given({ headBytesMax: 1 }, { n: ['a', 'b', 'c'] })
    const state = await loaded(made, 'n')
    state.users++
    for (const name of ['a', 'b', 'c']) {
      made.namespaces.setHead(state.key(name), headOf(60, { external: true }))
      made.namespaces.keepFound(state.key(name))
    }
    trim(made.namespaces)
    expect(state.keys.size).toBe(3)
    made.namespaces.setWritten(state.key('a'), headOf(61), Buffer.from('v'))
    made.namespaces.setDeleted(state.key('b'), 62, ann)
    trim(made.namespaces)
    expect([...state.keys.keys()]).toEqual(['c'])
    made.namespaces.setRemoved(state, 63)
    trim(made.namespaces)
    expect(state.keys.size).toBe(0)
  })

  test('I9: of found changes a bounded number stays; what is found again has no lower revision', async () => {
    const names = Array.from({ length: FOUND_MAX + 10 }, (_, index) => `k${index}`)
    const made = given({ headBytesMax: 1 }, { n: names, m: ['k'] })
    const state = await loaded(made, 'n')
    state.users++
    names.forEach((name, index) => {
      made.namespaces.setHead(state.key(name), headOf(60 + index, { external: true }))
      made.namespaces.keepFound(state.key(name))
      if (index === 0) made.namespaces.setWritten(state.key(name), headOf(60), Buffer.from('v'))
    })
    trim(made.namespaces)
    expect(state.keys.size).toBe(FOUND_MAX)
    expect(state.keys.has('k9')).toBe(false)
    const again = state.key('k9')
    made.namespaces.setHead(again, headOf(55, { external: true }))
    expect(again.head?.revision).toBe(60 + 9)
    const own = (await loaded(made, 'm')).key('k')
    made.namespaces.setHead(own, headOf(55))
    expect(own.head?.revision).toBe(55)
  })
})

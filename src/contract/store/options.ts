/** Misspelt and misplaced options are told, before anything changes. */
import { expect } from 'vitest'
import type { Session, Store } from '../../api.js'
import { collect, misuse } from '../observe.js'
import type { Given } from '../given.js'

export function options(given: Given): void {
  misspelt(given)
  misplaced(given)
  undefinedOptions(given)
}

type Call = (store: Store, session: Session, options: object) => unknown

const CALLS: Readonly<
  Record<string, { readonly call: Call; readonly takes: string; readonly wrong: string }>
> = {
  init: { call: (store, _, o) => store.init('unused', o), takes: 'conflictPolicy', wrong: 'conflictPolice' },
  'init without a name': { call: (store, _, o) => store.init(o), takes: 'writer', wrong: 'writter' },
  resume: { call: (store, s, o) => store.resume(s.namespace, o), takes: 'detect', wrong: 'detekt' },
  with: { call: (_, s, o) => s.with(o), takes: 'durability', wrong: 'durabilty' },
  remove: { call: (store, s, o) => store.remove(s.namespace, o), takes: 'signal', wrong: 'singal' },
  namespaces: { call: (store, _, o) => collect(store.namespaces(o)), takes: 'reverse', wrong: 'revers' },
  flush: { call: (store, _, o) => store.flush(o), takes: 'signal', wrong: 'signl' },
  close: { call: (store, _, o) => store.close(o), takes: 'onProgress', wrong: 'onprogress' },
  read: { call: (_, s, o) => s.read('k', o), takes: 'signal', wrong: 'sginal' },
  readBytes: { call: (_, s, o) => s.readBytes('k', o), takes: 'signal', wrong: 'Signal' },
  readJson: { call: (_, s, o) => s.readJson('k', o), takes: 'signal', wrong: 'signals' },
  entry: { call: (_, s, o) => s.entry('k', o), takes: 'signal', wrong: 'sgnal' },
  stat: { call: (_, s, o) => s.stat('k', o), takes: 'signal', wrong: 'siganl' },
  write: { call: (_, s, o) => s.write('k', 'x', o), takes: 'ifRevision', wrong: 'ifrevision' },
  writeJson: { call: (_, s, o) => s.writeJson('k', 1, o), takes: 'repairMetadata', wrong: 'repairMetdata' },
  delete: { call: (_, s, o) => s.delete('k', o), takes: 'seenRevision', wrong: 'seenRevison' },
  update: {
    call: (_, s, o) => s.update('k', () => 'x', o),
    takes: 'conflictPolicy',
    wrong: 'conflict_policy',
  },
  batch: { call: (_, s, o) => s.batch([{ write: 'k', value: 'x' }], o), takes: 'detect', wrong: 'detects' },
  'empty batch': { call: (_, s, o) => s.batch([], o), takes: 'detect', wrong: 'detec' },
  list: { call: (_, s, o) => s.list(o), takes: 'prefix', wrong: 'prefx' },
  entries: { call: (_, s, o) => collect(s.entries(o)), takes: 'after', wrong: 'aftr' },
  watch: {
    call: (_, s, o) => s.watch(o)[Symbol.asyncIterator]().next(),
    takes: 'afterRevision',
    wrong: 'afterRevison',
  },
  writeHandoff: {
    call: (_, s, o) => s.writeHandoff({}, o),
    takes: 'conflictPolicy',
    wrong: 'conflictpolicy',
  },
  readHandoff: { call: (_, s, o) => s.readHandoff(o), takes: 'signal', wrong: 'signall' },
}

function misspelt(given: Given): void {
  given.test(
    'an unknown option is a TypeError that names it and the closest known one, and nothing changes',
    async () => {
      const session = await given.session()
      for (const [name, { call, takes, wrong }] of Object.entries(CALLS)) {
        const error = await misuse(() => call(given.store(), session, { [wrong]: true })).catch(
          (cause: unknown) => {
            throw new Error(`${name} with ${wrong}`, { cause })
          },
        )
        expect(error, name).toBeInstanceOf(TypeError)
        expect(error.message, name).toContain(wrong)
        expect(error.message, name).toContain(takes)
      }
      expect(given.store().state).toBe('open')
      expect(await session.list()).toEqual([])
    },
  )
}

function misplaced(given: Given): void {
  given.test('an option of another method is unknown here', async () => {
    const session = await given.session()
    const misplacedOptions: readonly (() => unknown)[] = [
      () => session.update('k', () => 'x', { ifRevision: null } as object),
      () => session.batch([], { ifRevision: null } as object),
      () => session.with({ ifRevision: null } as object),
      () => session.read('k', { conflictPolicy: 'error' } as object),
      () => session.list({ initial: true } as object),
      () => session.write('k', 'x', { prefix: 'a' } as object),
      () => session.write('k', 'x', { writer: { writerId: 'other' } } as object),
    ]
    for (const act of misplacedOptions) expect(await misuse(act)).toBeInstanceOf(TypeError)
    expect(await session.list()).toEqual([])
  })
  given.test('options that are no plain object are a TypeError', async () => {
    const session = await given.session()
    for (const wrong of [null, 1, 'error', true, [], () => {}, new Map()] as readonly unknown[]) {
      expect(await misuse(() => session.write('k', 'x', wrong as object))).toBeInstanceOf(TypeError)
      expect(await misuse(() => session.read('k', wrong as object))).toBeInstanceOf(TypeError)
      expect(await misuse(() => session.batch([], wrong as object))).toBeInstanceOf(TypeError)
      expect(await misuse(() => session.with(wrong as object))).toBeInstanceOf(TypeError)
    }
    expect(await session.list()).toEqual([])
  })
}

function undefinedOptions(given: Given): void {
  given.test('an option that is undefined is as if it were absent', async () => {
    const session = await given.session({ writer: { writerId: 'ann' }, conflictPolicy: 'error' })
    const nothing = { conflictPolicy: undefined, detect: undefined, durability: undefined, signal: undefined }
    const narrow = session.with({ ...nothing, writer: undefined, repairMetadata: undefined })
    expect(narrow.writer).toEqual({ writerId: 'ann' })
    await narrow.write('k', '1', { ...nothing, ifRevision: undefined, seenRevision: undefined })
    expect(
      await narrow.list({ prefix: undefined, after: undefined, limit: undefined, reverse: undefined }),
    ).toEqual(['k'])
    const other = session.with({ writer: { writerId: 'ben' }, conflictPolicy: undefined })
    await expect(other.write('k', '2', undefined)).rejects.toMatchObject({ code: 'CONFLICT' })
  })
}

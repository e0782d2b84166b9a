/** The model of a disk, by itself: what may be found after a power cut, and what may not, for a few calls at a time. */
import { describe, expect, test } from 'vitest'
import { DiskState, randomSurvival, ROOT_INODE, type DiskOp } from './support/disk/disk-state.js'
import { Recording } from './support/disk/recording.js'
import { Random } from './support/random.js'

const FILE = 2
const OTHER = 3
const FOLDER = 4

const create = (inode: number, name: string, parent = ROOT_INODE): DiskOp => ({
  kind: 'create',
  in: parent,
  name,
  inode,
})
const write = (inode: number, text: string, position = 0): DiskOp => ({
  kind: 'write',
  inode,
  position,
  bytes: Buffer.from(text),
})
const sync = (inode: number): DiskOp => ({ kind: 'sync', inode, dataOnly: false })
const rename = (name: string, toName: string): DiskOp => ({
  kind: 'rename',
  in: ROOT_INODE,
  name,
  toIn: ROOT_INODE,
  toName,
})

/** Every state that is found in very many power cuts, as text: a path and its content for each file. */
function found(ops: readonly DiskOp[]): Set<string> {
  const state = new DiskState()
  for (const op of ops) state.apply(op)
  const random = new Random(1)
  const states = new Set<string>()
  for (let cut = 0; cut < 3000; cut++) {
    const survival = { ...randomSurvival(random), staleBytes: false, tornSectors: 0 }
    states.add(show(state.cutPower(random, survival), ROOT_INODE, ''))
  }
  return states
}

function show(state: DiskState, directory: number, above: string): string {
  return [...state.entries(directory)]
    .sort(([one], [two]) => (one < two ? -1 : 1))
    .map(([name, inode]) =>
      state.isDirectory(inode)
        ? show(state, inode, `${above}${name}/`)
        : `${above}${name}=${short(state.file(inode).content.bytes().toString())}`,
    )
    .filter((text) => text !== '')
    .join(' ')
}

/** Runs of the same character by their length. */
function short(text: string): string {
  return text.replaceAll(/(.)\1{9,}/gs, (run) => `${run[0] === '\0' ? '0' : run[0]}*${run.length}`)
}

describe('after a power cut', () => {
  test('a file that is not synced may be there whole, empty, with its size only, or not at all', () => {
    expect(found([create(FILE, 'f'), write(FILE, 'text')])).toEqual(
      new Set(['', 'f=', 'f=text', 'f=\0\0\0\0']),
    )
  })

  test('a file that is synced may be missing, until its directory is synced; then it is there', () => {
    const ops = [create(FILE, 'f'), write(FILE, 'text'), sync(FILE)]
    expect(found(ops)).toEqual(new Set(['', 'f=text']))
    expect(found([...ops, sync(ROOT_INODE)])).toEqual(new Set(['f=text']))
  })

  test('a sync of the directory alone says nothing of the content', () => {
    expect(found([create(FILE, 'f'), write(FILE, 'text'), sync(ROOT_INODE)])).toEqual(
      new Set(['f=', 'f=text', 'f=\0\0\0\0']),
    )
  })

  test('each sector of a write is kept or lost on its own, in any order', () => {
    const before = [create(FILE, 'f'), write(FILE, 'o'.repeat(1536)), sync(FILE), sync(ROOT_INODE)]
    const states = found([...before, write(FILE, 'n'.repeat(1536))])
    expect(states.size, 'three sectors, each old or new').toBe(8)
    expect(states).toContain('f=n*512o*512n*512')
  })

  test('a sector may be torn in itself', () => {
    const state = new DiskState()
    for (const op of [create(FILE, 'f'), write(FILE, 'o'.repeat(512)), sync(FILE), sync(ROOT_INODE)])
      state.apply(op)
    state.apply(write(FILE, 'n'.repeat(512)))
    const cut = state.cutPower(new Random(1), { entries: 1, contents: 0, staleBytes: false, tornSectors: 1 })
    expect(show(cut, ROOT_INODE, '')).toMatch(/^f=n+\*?\d*o/)
  })

  test('a rename is made of two changes: both names may be there, or the old one, or the new one, or none', () => {
    const before = [create(FILE, 'a'), write(FILE, 'text'), sync(FILE), sync(ROOT_INODE)]
    expect(found([...before, rename('a', 'b')])).toEqual(new Set(['a=text', 'b=text', 'a=text b=text', '']))
    expect(found([...before, rename('a', 'b'), sync(ROOT_INODE)])).toEqual(new Set(['b=text']))
  })

  test('a rename over a file leaves the old content or the new one at the path', () => {
    const before = [
      ...[create(FILE, 'f'), write(FILE, 'old'), sync(FILE)],
      ...[create(OTHER, 'new'), write(OTHER, 'new'), sync(OTHER), sync(ROOT_INODE)],
    ]
    for (const state of found([...before, rename('new', 'f')])) expect(state).toMatch(/^f=(old|new)/)
  })

  test('a rename of what is not synced may leave nothing at the path', () => {
    const ops = [create(FILE, 'f'), write(FILE, 'old'), sync(FILE), create(OTHER, 'new'), write(OTHER, 'new')]
    const states = found([...ops, rename('new', 'f'), sync(ROOT_INODE)])
    expect(states).toEqual(new Set(['f=new', 'f=', 'f=\0\0\0']))
  })

  test('what was removed may come back, until its directory is synced', () => {
    const ops: DiskOp[] = [
      create(FILE, 'f'),
      sync(FILE),
      sync(ROOT_INODE),
      { kind: 'remove', in: ROOT_INODE, name: 'f' },
    ]
    expect(found(ops)).toEqual(new Set(['', 'f=']))
    expect(found([...ops, sync(ROOT_INODE)])).toEqual(new Set(['']))
  })

  test('a directory that is new may be missing with all that is synced in it', () => {
    const folder: DiskOp = { kind: 'makeDirectory', in: ROOT_INODE, name: 'd', inode: FOLDER }
    const ops = [folder, create(FILE, 'f', FOLDER), write(FILE, 'text'), sync(FILE), sync(FOLDER)]
    expect(found(ops)).toEqual(new Set(['', 'd/f=text']))
    expect(found([...ops, sync(ROOT_INODE)])).toEqual(new Set(['d/f=text']))
  })

  test('a sync that failed makes nothing certain, and neither does a later one that does not', () => {
    const ops: DiskOp[] = [
      ...[create(FILE, 'f'), write(FILE, 'old'), sync(FILE), sync(ROOT_INODE)],
      write(FILE, 'new'),
      { kind: 'failSync', inode: FILE },
      sync(FILE),
    ]
    expect(found(ops)).toEqual(new Set(['f=old', 'f=new']))
    expect(found([...ops, write(FILE, 'new'), sync(FILE)])).toEqual(new Set(['f=new']))
  })

  test('a sync makes nothing certain that was written after it was asked for', () => {
    const state = new DiskState()
    for (const op of [create(FILE, 'f'), write(FILE, 'one'), sync(ROOT_INODE)]) state.apply(op)
    const covers = state.uncertain(FILE)
    const ops: DiskOp[] = [write(FILE, 'two', 3), { kind: 'sync', inode: FILE, dataOnly: true, covers }]
    for (const op of ops) state.apply(op)
    const cut = state.cutPower(new Random(1), { entries: 0, contents: 0, staleBytes: false })
    expect(show(cut, ROOT_INODE, '')).toBe('f=one')
  })

  test('where a file has grown there may be what another one held', () => {
    const state = new DiskState()
    const secret = 's'.repeat(512)
    const ops: DiskOp[] = [
      ...[
        create(FILE, 'f'),
        write(FILE, secret),
        sync(FILE),
        { kind: 'remove', in: ROOT_INODE, name: 'f' } as const,
      ],
      ...[create(OTHER, 'g'), sync(ROOT_INODE), { kind: 'resize', inode: OTHER, size: 512 } as const],
    ]
    for (const op of ops) state.apply(op)
    const random = new Random(1)
    const contents = Array.from({ length: 50 }, () => {
      const cut = state.cutPower(random, { entries: 1, contents: 0.9, staleBytes: true })
      return show(cut, ROOT_INODE, '')
    })
    expect(contents.some((text) => text.includes('s*'))).toBe(true)
  })
})

test('a task that is at work may have made only some of its changes; once it was answered it has made all', () => {
  const recording = new Recording(new DiskState())
  const add = (op: DiskOp, task: number | null): void => recording.add({ op, path: '', task })
  add(create(FILE, 'first'), 1)
  add(create(OTHER, 'second'), 1)
  add(create(FOLDER, 'of another'), null)
  const foundAt = (moment: number): Set<string> => {
    const random = new Random(1)
    return new Set(
      Array.from({ length: 200 }, () =>
        [...recording.stateAt(moment, random).entries(ROOT_INODE).keys()].join(', '),
      ),
    )
  }
  const all = 'first, second, of another'
  expect(foundAt(3)).toEqual(new Set([all, 'first, of another', 'of another']))
  recording.answered(1)
  expect(foundAt(3)).toEqual(new Set([all]))
  expect(foundAt(2)).toEqual(new Set(['first, second', 'first', '']))
})

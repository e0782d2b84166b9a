/** `verify` and `info`; what an inspection finds in detail is tested where it is made. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openStore, type Store } from 'agent-state'
import {
  closedRoot,
  endOf,
  inProcess,
  lines,
  ownedStore,
  seen,
  shell,
  startCli,
  temporaryRoot,
} from './support/run-cli.js'

async function fill(store: Store): Promise<void> {
  const session = await store.init('n', { writer: { writerId: 'ada' } })
  await session.write('k', 'the value')
  await session.write('beside', 'another')
}

/** One bit turns, and the time stays, as on a failing disk. */
function flip(path: string, at: number): void {
  const { atime, mtime } = statSync(path)
  const bytes = readFileSync(path)
  bytes[at]! ^= 4
  writeFileSync(path, bytes)
  utimesSync(path, atime, mtime)
}

test('verify says that nothing is damaged, and info that all is well', async () => {
  const root = await closedRoot(fill)
  expect(await inProcess(['verify', '--root', root])).toMatchObject({
    status: 0,
    output: 'checked 2 keys in 1 namespace, 16 bytes\nno damage found\n',
  })
  const [info] = lines(await inProcess(['info', '--json', '--root', root]))
  expect(info).toMatchObject({
    ...{
      root,
      format: 1,
      owner: null,
      clean: true,
      namespaces: 1,
      keys: 2,
      bytes: 16,
      backlogKeys: 0,
      problems: [],
    },
    health: ['closed cleanly: the files show everything'],
  })
})

test('verify names what is damaged, ends with 5, and --repair does what opening does and no more', async () => {
  const root = await closedRoot(fill)
  flip(join(root, 'n', 'k'), 2)
  flip(join(root, '.agent_state', 'checkpoint'), 50)
  writeFileSync(join(root, '.agent_state', 'tmp', 'left'), '')
  const found = await inProcess(['verify', '--root', root])
  expect(found.status).toBe(5)
  expect(found.output.split('\n')).toEqual([
    expect.stringMatching(/^leftover {4}\.agent_state\/tmp\/left: .*; opening it removes it$/),
    expect.stringMatching(/^damage {6}\.agent_state\/checkpoint: .*; opening it writes both copies again$/),
    expect.stringMatching(
      /^damage {6}n\/k: .*checksum.*; restore the file from a copy, or write the key anew$/,
    ),
    'checked 2 keys in 1 namespace, 16 bytes',
    '2 damages',
    '',
  ])
  const repaired = await inProcess(['verify', '--repair', '--json', '--root', root])
  expect(repaired.status).toBe(5)
  const summaries = (lines(repaired) as { type: string; findings: unknown }[]).filter(
    ({ type }) => type === 'summary',
  )
  expect(summaries.map(({ findings }) => findings)).toEqual([{ leftover: 1, damage: 2 }, { damage: 1 }])
  expect(existsSync(join(root, '.agent_state', 'tmp', 'left'))).toBe(false)
  expect((await inProcess(['get', 'n', 'k', '--root', root])).status).toBe(5)
  expect((await inProcess(['put', 'n', 'k', '--root', root], { input: 'anew' })).status).toBe(0)
  expect((await inProcess(['verify', '--root', root])).status).toBe(0)
})

test('verify and info tell what an unclean end left, and --repair finishes it', async () => {
  const root = temporaryRoot()
  const store = await ownedStore(root)
  await fill(store)
  await store.flush()
  const session = await store.resume('n')
  // A copy of the files of an open store is what a kill leaves.
  const left = temporaryRoot()
  await session.write('late', 'in the journal at least')
  cpSync(root, left, { recursive: true, filter: (path) => !path.endsWith('/socket') })
  const [info] = lines(await inProcess(['info', '--json', '--root', left]))
  expect(info).toMatchObject({
    owner: null,
    clean: false,
    health: [expect.stringContaining('not closed cleanly')],
  })
  expect(await inProcess(['verify', '--repair', '--root', left])).toMatchObject({ status: 0 })
  expect(readFileSync(join(left, 'n', 'late'), 'utf8')).toBe('in the journal at least')
})

test('verify says who has the root open, checks what it can beside it, and repairs nothing then', async () => {
  const root = temporaryRoot()
  const store = await ownedStore(root)
  await fill(store)
  await store.flush()
  const open = await inProcess(['verify', '--root', root])
  expect(open).toMatchObject({ status: 0 })
  expect(open.output).toMatch(new RegExp(`^process ${process.pid} on .* has the root open`))
  expect(await inProcess(['verify', '--repair', '--root', root])).toMatchObject({ status: 4 })
  flip(join(root, 'n', 'k'), 2)
  const damaged = await inProcess(['verify', '--root', root])
  expect(damaged).toMatchObject({ status: 5, output: expect.stringMatching(/^damage {6}n\/k: /) })
})

test('verify finds no damage while everything is written over', async () => {
  const root = temporaryRoot()
  const session = await (await ownedStore(root)).init('n')
  let writing = true
  const written = (async () => {
    for (let round = 0; writing; round++) {
      await Promise.all(
        Array.from({ length: 20 }, (_, key) => session.write(`k${key}`, `${round}`.repeat(key))),
      )
    }
  })()
  const verified = await inProcess(['verify', '--root', root, '--json'])
  writing = false
  await written
  expect(verified.output).not.toMatch(/"kind":"(damage|changed|unreadable)"/)
  // What changed with every look may stay unclear.
  expect([0, 1]).toContain(verified.status)
})

test('--repair does not open a root that an opening would write over (I2)', async () => {
  const root = await closedRoot(fill)
  const own = join(root, '.agent_state')
  const older = readFileSync(join(own, 'checkpoint'))
  const store = await openStore({ root })
  await (await store.resume('n')).write('k', 'acknowledged')
  await store.close()
  writeFileSync(join(own, 'checkpoint'), older)
  const journal = (): Buffer[] =>
    readdirSync(join(own, 'journal')).map((name) => readFileSync(join(own, 'journal', name)))
  const before = journal()
  const { status, output, errors } = await inProcess(['verify', '--repair', '--root', root])
  expect(status).toBe(5)
  expect(output).toContain('do not open it before')
  expect(output).not.toContain('opened and closed')
  expect(errors).toContain('the root was not opened')
  expect(journal().every((bytes, index) => bytes.equals(before[index]!))).toBe(true)
  expect(readFileSync(join(own, 'checkpoint'))).toEqual(older)
})

test('verify and info take a root that has lost its format and its checkpoint for damaged', async () => {
  const root = await closedRoot(fill)
  rmSync(join(root, '.agent_state', 'format'))
  rmSync(join(root, '.agent_state', 'checkpoint'))
  for (const args of [['verify'], ['verify', '--repair']]) {
    const found = await inProcess([...args, '--root', root])
    expect(found).toMatchObject({
      status: 5,
      output: expect.stringMatching(/^damage {6}\.agent_state\/format: /),
    })
  }
  const info = await inProcess(['info', '--root', root])
  expect(info).toMatchObject({ status: 5, output: expect.stringMatching(/health +damaged: .*missing/) })
})

test('verify of what was not made to its end says that nothing could be checked', async () => {
  const root = temporaryRoot()
  mkdirSync(join(root, '.agent_state', 'journal'), { recursive: true })
  const { status, output } = await inProcess(['verify', '--root', root])
  expect([status, output]).toEqual([1, expect.stringMatching(/nothing could be checked\n$/)])
  expect(await inProcess(['verify', '--repair', '--root', root])).toMatchObject({ status: 0 })
})

test('verify of which nobody reads the findings is no success', async () => {
  const root = await closedRoot(fill)
  const { output, errors } = await shell(`agent-state verify | true; echo "\${PIPESTATUS[0]}"`, { cwd: root })
  expect([output, errors]).toEqual(['1\n', expect.stringContaining('PIPE_CLOSED')])
})

test('info tells what the owner has not brought into the files, and ends when the owner gives no answer', async () => {
  const root = await closedRoot(fill)
  const owner = startCli(['watch', 'n', '--root', root])
  const ended = endOf(owner)
  await seen(owner.stderr!, /watching/)
  const [info] = lines(await inProcess(['info', '--json', '--root', root]))
  expect(info).toMatchObject({ owner: { pid: owner.pid }, backlogKeys: 0, stuckKeys: 0 })
  owner.kill('SIGSTOP')
  const stopped = await inProcess(['info', '--root', root])
  expect(stopped).toMatchObject({ status: 1, output: expect.stringMatching(/backlog +not known\n/) })
  expect(stopped.output).toContain('no answer')
  owner.kill('SIGKILL')
  await ended
})

test('info and verify count a file that was set aside once, not the note beside it', async () => {
  const root = temporaryRoot()
  const store = await ownedStore(root)
  await fill(store)
  await store.flush()
  const left = temporaryRoot()
  await (await store.resume('n')).write('k', 'in the journal at least')
  cpSync(root, left, { recursive: true, filter: (path) => !path.endsWith('/socket') })
  writeFileSync(join(left, 'n', 'k'), 'edited after the crash')
  await (await openStore({ root: left })).close()
  expect(readdirSync(join(left, '.agent_state', 'preserved'))).toHaveLength(2)
  expect(lines(await inProcess(['info', '--json', '--root', left]))).toMatchObject([{ preserved: 1 }])
  expect((await inProcess(['verify', '--root', left])).output).toContain('\n1 file set aside')
})

test('verify of a file that was edited by hand says what it may be, and what to do then', async () => {
  const root = await closedRoot(fill)
  writeFileSync(join(root, 'n', 'k'), 'by hand')
  expect(await inProcess(['verify', '--root', root])).toMatchObject({
    status: 0,
    output: expect.stringMatching(
      /^changed {5}n\/k: it was edited by hand, or it is damaged; if nobody edited it, restore the file from a copy\n/,
    ),
  })
})

test('metadata that are damaged are a warning to readers and an error to writers, in words of the command line', async () => {
  const root = await closedRoot(fill)
  writeFileSync(join(root, 'n', '.agent_state_meta', 'k.json'), '{')
  const read = await inProcess(['get', 'n', 'k', '--root', root])
  expect(read).toMatchObject({ status: 0, output: 'the value' })
  expect(read.errors).toMatch(
    /^agent-state get: warning: METADATA_CORRUPT: .*'agent-state put --repair-metadata'.*\n$/,
  )
  const put = (...more: string[]): ReturnType<typeof inProcess> =>
    inProcess(['put', 'n', 'k', '--root', root, ...more], { input: 'new' })
  const refused = await put()
  expect(refused.status).toBe(5)
  expect(refused.errors).toMatch(/^agent-state put: METADATA_CORRUPT: .*'agent-state put --repair-metadata'/m)
  expect(refused.errors).not.toContain('repairMetadata')
  expect(refused.errors.match(/--repair-metadata/g)).toHaveLength(1)
  const repaired = await put('--repair-metadata')
  expect(repaired).toMatchObject({
    status: 0,
    errors: expect.stringMatching(/^agent-state put: warning: .*; they are to be replaced\n$/),
  })
  expect(await inProcess(['get', 'n', 'k', '--root', root])).toMatchObject({ output: 'new', errors: '' })
})

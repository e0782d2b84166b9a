/** `export` and `import`, through pipes, files and directories. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { Writable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { openStore, type Store } from 'agent-state'
import { Output } from '../../src/cli/output.js'
import { outputSink } from '../../src/cli/tar-sinks.js'
import {
  cli,
  closedRoot,
  endOf,
  inProcess,
  lines,
  ownedRoot,
  ownedStore,
  seen,
  shell,
  startCli,
  temporaryRoot,
} from './support/run-cli.js'

async function fill(store: Store): Promise<void> {
  const session = await store.init('n', { writer: { writerId: 'ada' } })
  await session.write('plan.md', '# Plan\n')
  await session.write('deep/er', Buffer.from([0, 255, 10]))
  await (await store.init('m')).write('k', 'v')
}

test('a root goes through a pipe into another one, with its writers', async () => {
  const root = await ownedRoot(fill)
  const other = temporaryRoot()
  const ended = await shell(`agent-state export --root "$ROOT" | agent-state import --json --root "$OTHER"`, {
    env: { ROOT: root, OTHER: other },
  })
  expect(ended).toMatchObject({ status: 0, errors: 'agent-state export: 3 keys in 2 namespaces, 11 bytes\n' })
  expect(lines(ended)).toEqual([{ namespaces: 2, keys: 3, bytes: 11, kept: 0 }])
  expect(readFileSync(join(other, 'n', 'deep', 'er'))).toEqual(Buffer.from([0, 255, 10]))
  expect((await inProcess(['stat', 'n', 'plan.md', '--root', other])).output).toContain('ada')
})

test('an export is a file or directory that other tools read, made whole or not at all', async () => {
  const root = await ownedRoot(fill)
  const cwd = dirname(root)
  const directory = await cli(['export', 'n', '--dir', 'copy', '--root', root, '--json'], { cwd })
  expect(lines(directory)).toMatchObject([{ namespace: 'n', keys: 2, bytes: 10 }])
  expect(readFileSync(join(cwd, 'copy', 'n', 'plan.md'), 'utf8')).toBe('# Plan\n')
  expect(readdirSync(join(cwd, 'copy'))).toEqual(['.agent_state', 'n'])
  expect(await cli(['export', '-o', 'state.tar', '--root', root], { cwd })).toMatchObject({
    status: 0,
    output: '',
  })
  const listed = await shell('tar tf state.tar', { cwd })
  expect(listed.output.split('\n')).toEqual(
    expect.arrayContaining(['n/plan.md', 'n/.agent_state_meta/plan.md.json', '.agent_state/export.json']),
  )
  expect(await cli(['export', '-o', 'state.tar', '--root', root], { cwd })).toMatchObject({ status: 4 })
  expect(await cli(['export', 'x', '-o', 'none.tar', '--root', root], { cwd })).toMatchObject({ status: 3 })
  expect(readdirSync(cwd).sort()).toEqual(['copy', 'root', 'state.tar'])

  const refused = await cli(['import', 'state.tar', '--root', root], { cwd })
  expect(refused).toMatchObject({
    status: 4,
    errors: expect.stringMatching(/ARCHIVE_REFUSED.*no key was imported\n$/),
  })
  expect(await cli(['import', 'copy', '--if-absent', '--root', root], { cwd })).toMatchObject({
    status: 0,
    output: '0 keys in 1 namespace, 0 bytes; 2 keys kept as they were\n',
  })
  const cut = await shell('head -c 2000 state.tar | agent-state import --root fresh', { cwd })
  expect(cut).toMatchObject({ status: 5, errors: expect.stringContaining('ARCHIVE_DAMAGED') })
  expect(await inProcess(['import', '/not/there', '--root', root])).toMatchObject({ status: 2 })
})

test('an export whose reader stops fails, because half of it is nothing', async () => {
  const root = await ownedRoot(async (store) => (await store.init('n')).write('k', Buffer.alloc(2_000_000)))
  const { output, errors } = await shell(`agent-state export | head -c 10 > part; echo "\${PIPESTATUS[0]}"`, {
    cwd: root,
  })
  expect([output, errors]).toEqual(['1\n', expect.stringContaining('PIPE_CLOSED')])
})

test('an export whose reader stops while another namespace is read fails too', async () => {
  const root = await ownedRoot(async (store) => {
    await (await store.init('a')).write('k', Buffer.alloc(2_000_000))
    for (let index = 0; index < 200; index++) await store.init(`b${index}`)
  })
  const child = startCli(['export', '--root', root])
  const ended = endOf(child)
  let bytes = 0
  await new Promise<void>((resolve) => {
    child.stdout!.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      // The rest of this value waits for the reader, and the others are read meanwhile.
      if (bytes > 10_000) resolve()
    })
  })
  child.stdout!.destroy()
  expect(await ended).toMatchObject({ status: 1, errors: expect.stringContaining('PIPE_CLOSED') })
})

test('an export of which nobody takes the last bytes fails too', async () => {
  const stream = new Writable({
    write: (_chunk, _encoding, done) =>
      void setImmediate(done, Object.assign(new Error('nobody reads'), { code: 'EPIPE' })),
  })
  const { signal: interrupted } = new AbortController()
  const sink = outputSink(new Output(stream, { interrupted, beforeWriting: () => {} }))
  await sink.write(Buffer.alloc(10))
  await expect(sink.finish()).rejects.toMatchObject({ code: 'PIPE_CLOSED' })
})

test('every batch is exported as a whole while it is written over and over', async () => {
  const root = temporaryRoot()
  const store = await ownedStore(root)
  const session = await store.init('n')
  let writing = true
  const written = (async () => {
    for (let round = 0; writing; round++) {
      const keys = Array.from({ length: 10 }, (_, key) => ({ write: `k${key}`, value: `${round}` }))
      await session.batch([...keys, { write: `new/${round}`, value: `${round}` }])
      await pause(1)
    }
  })()
  const copies = ['one', 'two']
  for (const copy of copies) {
    const ended = await cli(['export', '--dir', copy, '--root', root], { cwd: dirname(root) })
    expect(ended, ended.errors).toMatchObject({ status: 0 })
  }
  writing = false
  await written
  for (const copy of copies) {
    const folder = join(dirname(root), copy, 'n')
    const values = new Set(
      Array.from({ length: 10 }, (_, key) => readFileSync(join(folder, `k${key}`), 'utf8')),
    )
    expect(values.size).toBe(1)
    expect(readdirSync(join(folder, 'new'))).toHaveLength(Number([...values][0]) + 1)
  }
})

test('an import that is interrupted leaves whole batches and a store that is closed', async () => {
  const root = temporaryRoot()
  const child = startCli(['import', '--json', '--root', root])
  const ended = endOf(child)
  // Some hundred keys, and then nothing more: no end of the archive.
  const source = await ownedRoot(async (store) => {
    const session = await store.init('n')
    await session.batch(Array.from({ length: 320 }, (_, key) => ({ write: `k${key}`, value: `${key}` })))
  })
  const { bytes } = await inProcess(['export', '--root', source])
  child.stdin!.on('error', () => {}).write(bytes.subarray(0, bytes.length - 8192))
  while (!existsSync(join(root, 'n'))) await pause(20)
  child.kill('SIGINT')
  expect((await ended).status).toBe(130)
  const store = await openStore({ root })
  expect((await (await store.resume('n')).list()).length % 256).toBe(0)
  await store.close()
})

test('progress is for terminals only', async () => {
  const root = await ownedRoot(fill)
  const child = startCli(['export', '--root', root])
  await seen(child.stdout!, /export\.json/)
  expect((await endOf(child)).errors).not.toContain('[')
})

async function fillMany(store: Store): Promise<void> {
  const session = await store.init('n')
  const keyOf = (index: number): string => `k${String(index).padStart(3, '0')}`
  await session.batch(Array.from({ length: 320 }, (_, index) => ({ write: keyOf(index), value: `${index}` })))
}

test('an import that fails half-way says how much it wrote, and never that nothing was changed', async () => {
  const { bytes } = await inProcess(['export', '--root', await ownedRoot(fillMany)])
  const root = temporaryRoot()
  const session = await (await ownedStore(root)).init('n')
  await session.write('k319', 'mine')
  const failed = await inProcess(['import', '--root', root], { input: bytes })
  expect(failed).toMatchObject({ status: 1, errors: expect.stringContaining('ARCHIVE_REFUSED') })
  const count = (await session.list()).length - 1
  expect(count).toBeGreaterThan(0)
  expect(failed.errors).toContain(`${count} keys had been imported`)
})

test('an import goes on when the owner of the root closes it', async () => {
  const { bytes } = await inProcess(['export', '--root', await ownedRoot(fillMany)])
  const root = temporaryRoot()
  const store = await ownedStore(root)
  const session = await store.init('n')
  const child = startCli(['import', '--root', root])
  const ended = endOf(child)
  // More than the first batch of 256 keys.
  const most = Math.floor(bytes.length * 0.9)
  child.stdin!.on('error', () => {}).write(bytes.subarray(0, most))
  while ((await session.list()).length < 256) await pause(20)
  await store.close()
  child.stdin!.end(bytes.subarray(most))
  expect(await ended).toMatchObject({ status: 0, output: expect.stringMatching(/^320 keys in 1 namespace/) })
})

test('an export is no root: commands name import, and make none of it', async () => {
  const cwd = dirname(await ownedRoot(fill))
  await cli(['export', '--dir', 'copy', '--root', 'root'], { cwd })
  for (const args of [['ls'], ['verify'], ['put', 'n', 'k'], ['info']]) {
    const refused = await inProcess([...args, '--root', 'copy'], { cwd })
    expect(refused).toMatchObject({ status: 3, errors: expect.stringContaining("'agent-state import ") })
  }
  expect(await inProcess(['ls'], { cwd: join(cwd, 'copy', 'n') })).toMatchObject({ status: 3 })
  expect(readdirSync(join(cwd, 'copy', '.agent_state'))).toEqual(['export.json'])
})

test('a directory of which nothing says that it holds namespaces is imported only with --plain', async () => {
  const root = temporaryRoot()
  const source = join(dirname(root), 'etc')
  mkdirSync(join(source, 'ssh'), { recursive: true })
  writeFileSync(join(source, 'ssh', 'config'), 'x')
  writeFileSync(join(source, 'hosts'), '')
  const refused = await inProcess(['import', source, '--root', root])
  expect(refused).toMatchObject({
    status: 2,
    errors: expect.stringMatching(/^agent-state import: USAGE: .*--plain.*\n$/),
  })
  expect(existsSync(root)).toBe(false)
  const forced = await inProcess(['import', source, '--plain', '--root', root])
  expect(forced).toMatchObject({ status: 0, output: '1 key in 1 namespace, 1 byte\n' })
  expect(forced.errors).toBe('agent-state import: hosts was left out: it is in no namespace\n')
})

test('of what an import leaves out, ten are named and the others counted', async () => {
  const root = temporaryRoot()
  const namespace = join(dirname(root), 'tree', 'n')
  mkdirSync(join(namespace, '.agent_state_meta'), { recursive: true })
  for (let index = 0; index < 13; index++) symlinkSync('/', join(namespace, `link${index}`))
  const { status, errors } = await inProcess(['import', dirname(namespace), '--root', root])
  const told = errors.trimEnd().split('\n')
  expect([status, told]).toEqual([0, expect.arrayContaining(['agent-state import: 3 more were left out'])])
  expect(told).toHaveLength(11)
})

test('a file that somebody gave a time before 1970 is exported, and imported again', async () => {
  const root = await closedRoot(fill)
  writeFileSync(join(root, 'n', 'plan.md'), 'by hand')
  utimesSync(join(root, 'n', 'plan.md'), new Date(-86_400_000), new Date(-86_400_000))
  const stat = await inProcess(['stat', 'n', 'plan.md', '--json', '--root', root])
  expect(lines(stat)).toMatchObject([{ updatedAtMs: -86_400_000, writer: { writerId: 'ada' } }])
  const tar = await inProcess(['export', '--root', root])
  const directory = join(dirname(root), 'copy')
  await inProcess(['export', '--dir', directory, '--root', root])
  for (const [source, input] of [
    ['-', tar.bytes],
    [directory, ''],
  ] as const) {
    const other = temporaryRoot()
    const imported = await inProcess(['import', source, '--root', other], { input })
    expect(imported, imported.errors).toMatchObject({ status: 0 })
    expect(await inProcess(['get', 'n', 'plan.md', '--root', other])).toMatchObject({ output: 'by hand' })
  }
})

test('a namespace that is named twice is exported once, where it is named first', async () => {
  const root = await ownedRoot(fill)
  const exported = await inProcess(['export', 'n', 'm', 'n', '--json', '--root', root])
  const told = exported.errors.trimEnd().split('\n')
  expect(told.map((line): unknown => JSON.parse(line))).toMatchObject([
    { namespace: 'n' },
    { namespace: 'm' },
  ])
  const other = temporaryRoot()
  const imported = await inProcess(['import', '--root', other], { input: exported.bytes })
  expect(imported, imported.errors).toMatchObject({ status: 0, output: '3 keys in 2 namespaces, 11 bytes\n' })
  const directory = join(dirname(root), 'copy')
  expect(await inProcess(['export', 'n', 'n', '--dir', directory, '--root', root])).toMatchObject({
    status: 0,
  })
})

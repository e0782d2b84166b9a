/** `ls`, `get`, `put`, `rm` and `stat`, as a person uses them. */
import { existsSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openStore } from 'agent-state'
import {
  cli,
  closedRoot,
  endOf,
  inProcess,
  lines,
  ownedRoot,
  ownedStore,
  shell,
  startCli,
  temporaryRoot,
} from './support/run-cli.js'

const EVERY_BYTE = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))

describe('put and get', () => {
  test('give back every byte that was written, from a pipe and from a file', async () => {
    const root = temporaryRoot()
    expect(await cli(['put', 'n', 'piped', '--root', root], { input: EVERY_BYTE })).toMatchObject({
      status: 0,
    })
    expect((await cli(['get', 'n', 'piped', '--root', root])).bytes).toEqual(EVERY_BYTE)
    const file = join(dirname(root), 'file')
    writeFileSync(file, EVERY_BYTE)
    expect(await inProcess(['--root', root, 'put', 'n', 'a/file', file])).toMatchObject({ status: 0 })
    expect((await inProcess(['--root', root, 'get', 'n', 'a/file'])).bytes).toEqual(EVERY_BYTE)
    const [entry] = lines(await inProcess(['get', 'n', 'piped', '--root', root, '--json']))
    expect(entry).toMatchObject({ key: 'piped', encoding: 'base64', value: EVERY_BYTE.toString('base64') })
  })

  test('take the largest value, and refuse a larger one without having changed anything (I9)', async () => {
    const root = temporaryRoot()
    const largest = Buffer.alloc(8 * 1024 * 1024, 'x')
    expect(await inProcess(['put', 'n', 'k', '--root', root], { input: largest })).toMatchObject({
      status: 0,
    })
    expect((await inProcess(['get', 'n', 'k', '--root', root])).bytes.equals(largest)).toBe(true)
    const refused = await inProcess(['put', 'n', 'k', '--root', root], {
      input: Buffer.alloc(largest.length + 1),
    })
    expect(refused).toMatchObject({ status: 1, errors: expect.stringContaining('LIMIT_EXCEEDED') })
    expect((await inProcess(['get', 'n', 'k', '--root', root])).bytes.equals(largest)).toBe(true)
  })

  test('write as the user, or as whom they are told', async () => {
    const root = temporaryRoot()
    await inProcess(['put', 'n', 'a', '--root', root], { input: '1' })
    await inProcess(['put', 'n', 'b', '--root', root, '--writer', 'bob'], { input: '1' })
    expect(lines(await inProcess(['ls', 'n', '-l', '--json', '--root', root]))).toMatchObject([
      { key: 'a', writer: { writerId: 'cli:tess' } },
      { key: 'b', writer: { writerId: 'bob' } },
    ])
  })

  test('keep to the condition and the policy that they are given, and end with 4 where these refuse', async () => {
    const root = await ownedRoot(async (store) => {
      const ada = await store.init('n', { writer: { writerId: 'ada' } })
      await ada.write('k', 'one')
    })
    const put = (...more: string[]): ReturnType<typeof inProcess> =>
      inProcess(['put', 'n', 'k', '--root', root, ...more], { input: 'two' })
    expect(await put('--if-absent')).toMatchObject({
      status: 4,
      errors: expect.stringContaining('REVISION_MISMATCH'),
    })
    expect(await put('--if-revision', '1')).toMatchObject({ status: 4 })
    const conflict = await put('--policy', 'error')
    expect(conflict).toMatchObject({ status: 4, output: '' })
    expect(conflict.errors).toMatch(/^agent-state put: CONFLICT: key 'k' .*'ada'.*'cli:tess'; .*\n$/)
    const asJson = await put('--policy', 'strict', '--json')
    expect(JSON.parse(asJson.errors)).toMatchObject({
      error: { command: 'put', code: 'CONFLICT', outcome: 'unchanged', exitCode: 4, conflict: { key: 'k' } },
    })
    expect((await inProcess(['get', 'n', 'k', '--root', root])).output).toBe('one')

    const [{ revision }] = lines(await inProcess(['stat', 'n', 'k', '--json', '--root', root])) as [
      { revision: number },
    ]
    expect(await put('--if-revision', String(revision), '--policy', 'error')).toMatchObject({
      status: 0,
      errors: '',
    })
    const told = await put('--writer', 'bob')
    expect(told).toMatchObject({ status: 0, output: expect.stringMatching(/^revision \d+\n$/) })
    expect(told.errors).toContain("'k' was last written by 'cli:tess'")
    expect(await put('--if-absent', '--if-revision', '1')).toMatchObject({ status: 2 })
    expect(await put('--policy', 'loud')).toMatchObject({ status: 2 })
    expect(await put('--if-revision', '-1')).toMatchObject({ status: 2 })
  })

  test('say what is not there, in one line and with a status of its own', async () => {
    const root = await ownedRoot((store) => store.init('n'))
    const missing = await inProcess(['get', 'n', 'k', '--root', root])
    expect(missing).toMatchObject({ status: 3, output: '' })
    expect(missing.errors).toBe("agent-state get: KEY_NOT_FOUND: there is no key 'k' in namespace 'n'\n")
    expect((await inProcess(['get', 'm', 'k', '--root', root])).errors).toMatch(
      /^agent-state get: NAMESPACE_NOT_FOUND: .*\n$/,
    )
    expect(await inProcess(['put', 'n', '../k', '--root', root])).toMatchObject({ status: 2 })
    expect(await inProcess(['put', '.agent_state', 'k', '--root', root])).toMatchObject({ status: 2 })
    expect(await inProcess(['put', 'n', 'k', '/not/there', '--root', root])).toMatchObject({ status: 2 })
    expect(await inProcess(['ls', 'n', '--root', root])).toMatchObject({ status: 0, output: '' })
  })

  test('change nothing when they are interrupted before all of a value has come', async () => {
    const root = temporaryRoot()
    const child = startCli(['put', 'n', 'k', '--root', root])
    const ended = endOf(child)
    child.stdin!.write('half')
    child.kill('SIGTERM')
    const { status, signal, errors } = await ended
    // Before it listens to signals it simply ends.
    expect([status, signal]).toEqual(signal === null ? [143, null] : [null, 'SIGTERM'])
    expect(errors).toBe('')
    expect(existsSync(root)).toBe(false)
  })
})

test('a key is the one that was named, white space at its ends included', async () => {
  const root = await ownedRoot(async (store) => {
    const session = await store.init('n')
    for (const key of ['x', './ x/.']) await session.write(key, `is ${key}`)
  })
  const run = (...args: string[]): ReturnType<typeof inProcess> =>
    inProcess([...args, '--root', root], { input: 'new' })
  expect((await run('get', 'n', ' x')).output).toBe('is ./ x/.')
  expect(lines(await run('stat', 'n', ' x', '--json'))).toMatchObject([{ key: ' x' }])
  expect(await run('put', 'n', 'x ')).toMatchObject({ status: 0 })
  expect((await run('ls', 'n', '-z')).output).toBe(' x\0x\0x \0')
  expect((await run('get', 'n', 'x')).output).toBe('is x')
  expect(await run('rm', 'n', ' x')).toMatchObject({ status: 0 })
  expect(await run('rm', 'n', ' x')).toMatchObject({ status: 3 })
  expect((await run('ls', 'n', '-z')).output).toBe('x\0x \0')
})

test('a put that is refused leaves no root and no namespace', async () => {
  const root = temporaryRoot()
  expect(await inProcess(['put', 'n', '../k', '--root', root], { input: 'v' })).toMatchObject({ status: 2 })
  expect(await inProcess(['put', '.git', 'k', '--root', root], { input: 'v' })).toMatchObject({ status: 2 })
  const unseen = ['put', 'n', 'k', '--if-revision', '1', '--root', root]
  expect(await inProcess(unseen, { input: 'v' })).toMatchObject({ status: 3 })
  expect(existsSync(root)).toBe(false)
  await (await openStore({ root })).close()
  expect(await inProcess(unseen, { input: 'v' })).toMatchObject({ status: 3 })
  expect(await inProcess(['put', 'n', 'a/../k', '--root', root], { input: 'v' })).toMatchObject({ status: 2 })
  expect((await inProcess(['ls', '--root', root])).output).toBe('')
})

test('input without an end is given up before it fills the memory', async () => {
  const root = await ownedRoot((store) => store.init('n'))
  const ended = await shell('cat /dev/zero | agent-state put n k; echo "${PIPESTATUS[1]}"', { cwd: root })
  expect([ended.output, ended.errors]).toEqual(['1\n', expect.stringContaining('VALUE_TOO_LARGE')])
})

describe('ls', () => {
  test('lists namespaces and keys in order, by prefix, and one object a line', async () => {
    const root = await ownedRoot(async (store) => {
      const session = await store.init('n', { writer: { writerId: 'ada' } })
      for (const key of ['b', 'a/1', 'a/2', 'ä']) await session.write(key, key)
      await store.init('m')
    })
    expect((await inProcess(['ls', '--root', root])).output).toBe('m\nn\n')
    expect((await inProcess(['ls', '--prefix', 'n', '--root', root])).output).toBe('n\n')
    expect((await inProcess(['ls', 'n', '--root', root])).output).toBe('a/1\na/2\nb\nä\n')
    expect((await inProcess(['ls', 'n', '--prefix', 'a/', '--root', root])).output).toBe('a/1\na/2\n')
    expect(lines(await inProcess(['ls', '--json', '--root', root]))).toEqual([
      { namespace: 'm' },
      { namespace: 'n' },
    ])
    expect((await inProcess(['ls', 'n', '-l', '--root', root])).output).toMatch(
      /^ +\d+ +3 {2}20\S+Z {2}ada +a\/1\n/,
    )
    expect(await inProcess(['ls', '-l', '--root', root])).toMatchObject({ status: 2 })
  })

  test('tells names apart that have line breaks in them, with -z and with --json', async () => {
    const keys = ['line\nbreak', 'quote"', ' space ']
    const root = await ownedRoot(async (store) => {
      const session = await store.init('n')
      for (const key of keys) await session.write(`./${key}/.`, 'x')
    })
    const { output } = await inProcess(['ls', 'n', '-z', '--root', root])
    expect(output.split('\0').slice(0, -1).sort()).toEqual(keys.toSorted())
    const found = lines(await inProcess(['ls', 'n', '-l', '--json', '--root', root])) as {
      key: string
      size: number
    }[]
    expect(new Map(found.map(({ key, size }) => [key, size]))).toEqual(new Map(keys.map((key) => [key, 1])))
    const copied = await shell(`agent-state ls n -z | xargs -0 -I {} "$NODE" "$PROGRAM" get n './{}/.'`, {
      cwd: root,
    })
    expect(copied).toMatchObject({ status: 0, output: 'xxx' })
  })

  test('ends quietly when nobody reads on', async () => {
    const root = await ownedRoot(async (store) => {
      const session = await store.init('n')
      await session.batch(
        Array.from({ length: 400 }, (_, i) => ({ write: `${'k'.repeat(200)}${i}`, value: '' })),
      )
    })
    const ended = await shell(`agent-state ls n | head -1; echo "\${PIPESTATUS[0]}"`, { cwd: root })
    expect(ended).toMatchObject({ status: 0, errors: '' })
    expect(ended.output.split('\n').slice(1)).toEqual(['0', ''])
    const help = await shell(`{ sleep 0.1; agent-state --help; } | true; echo "\${PIPESTATUS[0]}"`)
    expect(help).toMatchObject({ output: '0\n', errors: '' })
  })

  test.runIf(existsSync('/dev/full'))('fails when what it prints is lost to a full disk', async () => {
    const root = await ownedRoot(async (store) => (await store.init('n')).write('k', 'value'))
    for (const command of ['get n k', 'verify', 'export']) {
      const ended = await shell(`agent-state ${command} > /dev/full`, { cwd: root })
      expect(ended, command).toMatchObject({ status: 1, errors: expect.stringContaining('ENOSPC') })
      expect(ended.errors, command).not.toContain('    at ')
      expect(ended.errors, command).not.toMatch(/ENOSPC.*ENOSPC/)
    }
  })
})

describe('rm', () => {
  test('deletes keys together or not at all', async () => {
    const root = await ownedRoot(async (store) => {
      const session = await store.init('n')
      for (const key of ['a', 'b', 'c']) await session.write(key, key)
    })
    expect(await inProcess(['rm', 'n', 'a', 'x', '--root', root])).toMatchObject({ status: 3 })
    expect((await inProcess(['ls', 'n', '--root', root])).output).toBe('a\nb\nc\n')
    expect(await inProcess(['rm', 'n', 'a', 'x', '--force', '--root', root])).toMatchObject({ status: 0 })
    expect(await inProcess(['rm', 'n', 'b', '--root', root])).toMatchObject({ status: 0, output: '' })
    expect(await inProcess(['rm', 'n', 'c', '--if-revision', '1', '--root', root])).toMatchObject({
      status: 4,
    })
    expect((await inProcess(['ls', 'n', '--root', root])).output).toBe('c\n')
    expect(await inProcess(['rm', 'n', '--root', root])).toMatchObject({ status: 2 })
  })

  test('removes a namespace only when it is told twice, and says what that would delete', async () => {
    const root = await ownedRoot(async (store) => (await store.init('n')).write('k', 'v'))
    const asked = await inProcess(['rm', 'n', '--all', '--root', root])
    expect(asked).toMatchObject({ status: 2, errors: expect.stringContaining('1 key') })
    expect(await inProcess(['rm', 'n', 'k', '--all', '--yes', '--root', root])).toMatchObject({ status: 2 })
    const careful = await inProcess(['rm', 'n', '--all', '--yes', '--policy', 'error', '--root', root])
    expect(careful).toMatchObject({ status: 2, errors: expect.stringContaining('--all') })
    expect((await inProcess(['ls', '--root', root])).output).toBe('n\n')
    expect(await inProcess(['rm', 'n', '--all', '--yes', '--root', root])).toMatchObject({ status: 0 })
    expect((await inProcess(['ls', '--root', root])).output).toBe('')
    expect(await inProcess(['rm', 'n', '--all', '--yes', '--root', root])).toMatchObject({ status: 3 })
  })
})

describe('the root', () => {
  test('is found upwards from here, by the environment, or by --root, which wins', async () => {
    const [here, named] = await Promise.all(
      ['here', 'named'].map((name) => closedRoot((store) => store.init(name))),
    )
    const below = join(here!, 'here')
    expect((await cli(['ls'], { cwd: below })).output).toBe('here\n')
    const env = { AGENT_STATE_ROOT: named! }
    expect((await inProcess(['ls'], { cwd: below, env })).output).toBe('named\n')
    expect((await inProcess(['ls', '--root', here!], { env })).output).toBe('here\n')
    expect((await cli(['--root', '..', 'ls'], { env, cwd: below })).output).toBe('here\n')
  })

  test('is made by put with --root and by nothing else', async () => {
    const root = temporaryRoot()
    for (const args of [
      ['ls'],
      ['get', 'n', 'k'],
      ['stat', 'n'],
      ['rm', 'n', 'k'],
      ['info'],
      ['verify'],
      ['export'],
    ]) {
      const ended = await inProcess([...args, '--root', root])
      expect(ended, args.join(' ')).toMatchObject({
        status: 3,
        errors: expect.stringContaining('ROOT_NOT_FOUND'),
      })
    }
    expect(await inProcess(['put', 'n', 'k'], { env: { AGENT_STATE_ROOT: root } })).toMatchObject({
      status: 3,
    })
    expect(await inProcess(['ls'], { cwd: dirname(root) })).toMatchObject({ status: 3 })
    expect(existsSync(root)).toBe(false)
    expect(await inProcess(['put', 'n', 'k', '--root', root], { input: 'v' })).toMatchObject({ status: 0 })
    expect(existsSync(join(root, 'n', 'k'))).toBe(true)
  })

  test('is used through the process that has it open, which sees the change', async () => {
    const root = temporaryRoot()
    const store = await ownedStore(root)
    const session = await store.init('n', { writer: { writerId: 'ada' } })
    await session.write('k', 'from the owner')
    expect((await cli(['get', 'n', 'k', '--root', root])).output).toBe('from the owner')
    const conflict = new Promise((resolve) => store.events.on('conflict', resolve))
    expect(await cli(['put', 'n', 'k', '--root', root], { input: 'from beside' })).toMatchObject({
      status: 0,
    })
    expect(await session.read('k')).toBe('from beside')
    expect(await conflict).toMatchObject({ current: { writerId: 'cli:tess' }, previous: { writerId: 'ada' } })
    expect((await cli(['info', '--json', '--root', root])).output).toContain(`"pid":${process.pid}`)
  })

  test('that its owner keeps for itself is refused in one line that names it (I10)', async () => {
    const root = temporaryRoot()
    await ownedStore(root, { socket: false })
    const { status, errors } = await cli(['ls', '--root', root])
    expect(status).toBe(1)
    expect(errors).toMatch(new RegExp(`^agent-state ls: STORE_OWNED: .*process ${process.pid}.*\n$`))
  })

  test('takes many commands at once, each with its own answer', async () => {
    const root = temporaryRoot()
    await (await openStore({ root })).close()
    const ended = await Promise.all(
      Array.from({ length: 5 }, (_, i) => cli(['put', 'n', `k${i}`, '--root', root], { input: `${i}` })),
    )
    expect(ended.map(({ status, errors }) => [status, errors])).toEqual(ended.map(() => [0, '']))
    expect((await cli(['ls', 'n', '--root', root])).output.split('\n')).toHaveLength(6)
  })
})

describe('wrong usage', () => {
  test.each<[readonly string[], string]>([
    [['rm'], "agent-state rm: USAGE: missing required argument 'namespace'; see 'agent-state help rm'\n"],
    [
      ['--root', 'get', 'ls', '--foo'],
      "agent-state ls: USAGE: unknown option '--foo'; see 'agent-state help ls'\n",
    ],
    [
      ['ls', '--rot', 'x'],
      "agent-state ls: USAGE: unknown option '--rot' (did you mean --root?); see 'agent-state help ls'\n",
    ],
    [
      ['verfy'],
      "agent-state: USAGE: unknown command 'verfy' (did you mean verify?); see 'agent-state help'\n",
    ],
    [
      ['rm', 'n'],
      "agent-state rm: USAGE: name the keys to delete; --all deletes the whole namespace; see 'agent-state help rm'\n",
    ],
  ])('is told in one shape, with where to read on: %j', async (args, expected) => {
    expect(await inProcess(args)).toMatchObject({ status: 2, output: '', errors: expected })
  })

  test('and what commands end with is a topic of the help', async () => {
    const { status, output } = await inProcess(['help', 'exit-codes'])
    expect([status, output]).toEqual([0, expect.stringMatching(/^ +5 {2}something on the disk is damaged$/m)])
    expect((await inProcess(['exit-codes'])).output).toContain(' 130  interrupted by ctrl-c\n')
  })
})

test('stat tells of a key and of a namespace', async () => {
  const root = await ownedRoot(async (store) => {
    const session = await store.init('n', { writer: { writerId: 'ada', stageId: 'plan' } })
    await session.write('a', '12345')
    await session.write('b', '123')
  })
  const key = await inProcess(['stat', 'n', 'a', '--root', root])
  expect(key.output).toMatch(
    /^namespace +n\nkey +a\nrevision +\d+\nsize +5 bytes\nupdated +20\S+Z\nwriter +ada\nstage +plan\n$/,
  )
  const [namespace] = lines(await inProcess(['stat', 'n', '--root', root, '--json']))
  expect(namespace).toMatchObject({ namespace: 'n', keys: 2, bytes: 8, external: 0 })
})

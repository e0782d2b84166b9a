/** What is different on a terminal: colours, progress, and names that can't harm it. `script` gives one to a program. */
import { spawn, spawnSync } from 'node:child_process'
import { readdirSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { screenOf } from './support/screen.js'
import {
  cli,
  closedRoot,
  cliEnvironment,
  endOf,
  ownedRoot,
  ownedStore,
  PROGRAM,
  seen,
  temporaryRoot,
} from './support/run-cli.js'

/** Of util-linux; others take other options. Where it is missing there is no terminal to test with. */
const HAS_SCRIPT =
  spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') ?? false

const ESCAPE = '\u001b'
const COLOURS = new RegExp(`${ESCAPE}\\[[\\d;]*m`, 'g')
const BAR = /\[[#-]{30}\] /

/** The terminal was told not to wrap lines, and at last to do it again; the cursor was never hidden. */
function expectLeftAlone(output: string): void {
  expect(output).toContain(`${ESCAPE}[?7l`)
  expect(output.lastIndexOf(`${ESCAPE}[?7h`)).toBeGreaterThan(output.lastIndexOf(`${ESCAPE}[?7l`))
  expect(output).not.toContain(`${ESCAPE}[?25l`)
}

function onTerminal(args: readonly string[], env: Record<string, string> = {}): ReturnType<typeof spawn> {
  const command = [process.execPath, PROGRAM, ...args].map((word) => `'${word}'`).join(' ')
  const child = spawn('script', ['-qefc', command, '/dev/null'], {
    env: cliEnvironment({ TERM: 'xterm-256color', ...env }),
    stdio: 'pipe',
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

describe.runIf(HAS_SCRIPT)('on a terminal', () => {
  const HOSTILE = `${ESCAPE}]0;title\u0007\u202ekey\nline`

  test('names can move no cursor and set no title; elsewhere they are as they are', async () => {
    const root = await ownedRoot(async (store) => {
      await (await store.init('n', { writer: { writerId: `w${ESCAPE}[2J` } })).write(HOSTILE, 'x')
    })
    const plain = await endOf(onTerminal(['ls', 'n', '--root', root]))
    expect(plain.output).toBe('"\\u001b]0;title\\u0007\\u202ekey\\nline"\r\n')
    const long = await endOf(onTerminal(['ls', 'n', '-l', '--root', root], { NO_COLOR: '1' }))
    expect(long.output).not.toContain(ESCAPE)
    const verified = await endOf(onTerminal(['verify', '--root', root]))
    expect(verified.output).not.toContain('\u202e')
    const missing = await endOf(onTerminal(['get', 'n', HOSTILE.replace('key', 'other'), '--root', root]))
    expect([missing.status, missing.output]).toEqual([3, expect.not.stringContaining(ESCAPE)])
  })

  test('there are colours, but not with NO_COLOR', async () => {
    const root = await ownedRoot(async (store) => (await store.init('n')).write('k', 'x'))
    expect((await endOf(onTerminal(['stat', 'n', 'k', '--root', root]))).output).toContain(`${ESCAPE}[`)
    const plain = await endOf(onTerminal(['stat', 'n', 'k', '--root', root], { NO_COLOR: '1' }))
    expect(plain.output).not.toContain(ESCAPE)
  })

  test('there is progress, and a tar stream is refused', async () => {
    const root = await ownedRoot(async (store) => {
      const session = await store.init('n')
      await session.batch(Array.from({ length: 300 }, (_, key) => ({ write: `k${key}`, value: 'v' })))
    })
    const copy = temporaryRoot()
    const exported = await endOf(onTerminal(['export', '--dir', copy, '--root', root]))
    expect(exported.status, exported.output).toBe(0)
    expect(exported.output).toMatch(/\[[#-]{30}\] (reading|writing) n, \d+ of 300/)
    const refused = await endOf(onTerminal(['export', '--root', root]))
    expect([refused.status, refused.output]).toEqual([2, expect.stringContaining('not for a terminal')])
  })

  test('findings are not written into the bar, and nothing of it is left', async () => {
    // Enough to take far longer than the first bar waits.
    const count = 1000
    const root = await closedRoot(async (store) => {
      const session = await store.init('n')
      await session.batch(Array.from({ length: count }, (_, key) => ({ write: `k${key}`, value: 'v' })))
    })
    for (let key = 0; key < count; key++) writeFileSync(join(root, `n/k${key}`), 'by hand')
    const verified = await endOf(onTerminal(['verify', '--root', root]))
    expect(verified.status, verified.output).toBe(0)
    expect(verified.output).toMatch(BAR)
    const screen = screenOf(verified.output.replaceAll(COLOURS, ''))
    expect(screen.filter((line) => !/^changed +n\/k\d+: /.test(line))).toEqual([
      'checked 1,000 keys in 1 namespace, 6.8 KiB',
      'no damage found',
      '',
    ])
    expect(screen).toHaveLength(count + 3)
  })

  test('an error leaves nothing of the progress, and lines are wrapped as before', async () => {
    const root = await ownedRoot(async (store) => {
      const value = 'x'.repeat(10_000)
      const writes = Array.from({ length: 20 }, (_, key) => ({ write: `k${key}`, value }))
      await (await store.init('n')).batch(writes)
    })
    const archive = join(root, '../archive.tar')
    expect(await cli(['export', '-o', archive, '--root', root])).toMatchObject({ status: 0 })
    truncateSync(archive, 150_000)
    const { status, output } = await endOf(onTerminal(['import', archive, '--root', `${root}-copy`]))
    expect(status, output).toBe(5)
    expectLeftAlone(output)
    expect(screenOf(output)).toEqual([expect.stringMatching(/^agent-state import: ARCHIVE_DAMAGED: /), ''])
  })

  test('ctrl-c leaves nothing of a bar, and lines are wrapped as before', async () => {
    const folder = dirname(temporaryRoot())
    const child = onTerminal(['bench', '--root', folder, '--seconds', '100'])
    const ended = endOf(child)
    await seen(child.stdout!, /#-+\] write new keys/)
    child.stdin!.write('\u0003')
    const { status, output } = await ended
    expect(status, output).toBe(130)
    expectLeftAlone(output)
    expect(screenOf(output.replace('^C', ''))).toEqual([''])
    expect(readdirSync(folder)).toEqual([])
  })

  test('nothing wipes away a value that does not end its line', async () => {
    const root = await ownedRoot(async (store) => (await store.init('n')).write('k', 'value'))
    expect((await endOf(onTerminal(['get', 'n', 'k', '--root', root]))).output).toBe('value')
  })

  test('ctrl-c ends a watch', async () => {
    const root = temporaryRoot()
    await (await ownedStore(root)).init('n')
    const child = onTerminal(['watch', 'n', '--initial', '--root', root])
    const ended = endOf(child)
    await seen(child.stdout!, /ready/)
    child.stdin!.write('\u0003')
    expect((await ended).status).toBe(130)
  })
})

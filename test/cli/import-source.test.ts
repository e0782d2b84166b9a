/** Where an import reads from: pipes by name, which give everything once, and standard input that nobody closes. */
import { spawnSync } from 'node:child_process'
import { constants, existsSync, openSync } from 'node:fs'
import { Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { endOf, inProcess, ownedRoot, shell, startCli, temporaryRoot } from './support/run-cli.js'

const CAN_MAKE_PIPES = spawnSync('mkfifo', ['--version']).error === undefined

/** An archive of more keys than are written at once. */
async function archive(): Promise<{ root: string; bytes: Buffer }> {
  const root = await ownedRoot(async (store) => {
    const session = await store.init('n')
    await session.batch(Array.from({ length: 320 }, (_, key) => ({ write: `k${key}`, value: `${key}` })))
  })
  return { root, bytes: (await inProcess(['export', '--root', root])).bytes }
}

describe.runIf(CAN_MAKE_PIPES)('a pipe that has a name', () => {
  test.each([
    [
      'mkfifo',
      'mkfifo pipe; agent-state export --root "$ROOT" > pipe & agent-state import pipe --root other',
    ],
    ['process substitution', 'agent-state import <(agent-state export --root "$ROOT") --root other'],
    ['/dev/stdin', 'agent-state export --root "$ROOT" | agent-state import /dev/stdin --root other'],
  ])('is read once: %s', async (_, script) => {
    const { root } = await archive()
    const ended = await shell(script, { cwd: dirname(temporaryRoot()), env: { ROOT: root } })
    expect(ended, ended.errors).toMatchObject({
      status: 0,
      output: expect.stringMatching(/^320 keys in 1 namespace/),
    })
  })

  test('is not waited for after ctrl-c', async () => {
    const { bytes } = await archive()
    const root = temporaryRoot()
    const pipe = join(dirname(root), 'pipe')
    expect(spawnSync('mkfifo', [pipe]).status).toBe(0)
    const child = startCli(['import', pipe, '--root', root])
    const ended = endOf(child)
    const fd = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK)
    const source = new Socket({ fd, readable: false, writable: true }).on('error', () => {})
    onTestFinished(() => void source.destroy())
    source.write(bytes.subarray(0, bytes.length - 8192))
    while (!existsSync(join(root, 'n'))) await pause(20)
    child.kill('SIGINT')
    expect(await ended).toMatchObject({ status: 130, signal: null })
  })
})

test('an import that fails ends, though standard input goes on', async () => {
  const child = startCli(['import', '--root', temporaryRoot()])
  const ended = endOf(child)
  child.stdin!.on('error', () => {}).write(Buffer.alloc(1024, 'no archive'))
  expect(await ended).toMatchObject({ status: 5, errors: expect.stringContaining('ARCHIVE_DAMAGED') })
})

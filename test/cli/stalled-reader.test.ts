/** A reader that has stopped reading, but not gone away: ctrl-c ends the command all the same. */
import { spawn, spawnSync } from 'node:child_process'
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { openStore, type Session, type Store } from 'agent-state'
import { cliEnvironment, PROGRAM } from './support/run-cli.js'

const CAN_MAKE_PIPES = spawnSync('mkfifo', ['--version']).error === undefined

describe.runIf(CAN_MAKE_PIPES)('with a pipe that nobody empties', () => {
  let directory: string
  let store: Store

  beforeAll(async () => {
    directory = mkdtempSync(join(realpathSync(tmpdir()), 'agent-state-stalled-'))
    store = await openStore({ root: join(directory, 'root') })
    await fill(await store.init('n'))
  })

  afterAll(async () => {
    await store.close({ flush: false })
    rmSync(directory, { recursive: true, force: true })
  })

  test.each<[readonly string[], NodeJS.Signals, number]>([
    [['get', 'n', 'large'], 'SIGINT', 130],
    [['get', 'n', 'large', '--json'], 'SIGTERM', 143],
    [['ls', 'n'], 'SIGINT', 130],
    [['export'], 'SIGINT', 130],
    [['export'], 'SIGHUP', 129],
    [['watch', 'n', '--initial'], 'SIGINT', 130],
  ])('%j ends by %s with %i, and leaves nothing', async (args, signal, status) => {
    const temporary = mkdtempSync(join(directory, 'temporary-'))
    const pipe = `${temporary}-pipe`
    expect(spawnSync('mkfifo', [pipe]).status).toBe(0)
    const held = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK)
    onTestFinished(() => closeSync(held))
    const output = openSync(pipe, 'w')
    const child = spawn(process.execPath, [PROGRAM, ...args, '--root', join(directory, 'root')], {
      env: cliEnvironment({ TMPDIR: temporary }),
      stdio: ['ignore', output, 'pipe'],
    })
    closeSync(output)
    onTestFinished(() => void child.kill('SIGKILL'))
    const ended = new Promise((resolve) => child.once('close', (code, by) => resolve([code, by])))
    await full(held)
    child.kill(signal)
    expect(await ended).toEqual([status, null])
    expect(readdirSync(temporary)).toEqual([])
  })
})

async function fill(session: Session): Promise<void> {
  const name = 'x'.repeat(200)
  await session.write('large', Buffer.alloc(1024 * 1024, 'y'))
  await session.batch(Array.from({ length: 400 }, (_, index) => ({ write: `${name}${index}`, value: '' })))
}

/** Resolves when there is no room for one more byte. */
async function full(pipe: number): Promise<void> {
  for (;;) {
    try {
      writeSync(pipe, '.')
    } catch (error) {
      expect(error).toMatchObject({ code: 'EAGAIN' })
      return
    }
    await delay(10)
  }
}

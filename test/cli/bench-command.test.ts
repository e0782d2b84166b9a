import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { BenchReport } from '../../src/bench/bench.js'
import { newKeysMax } from '../../src/bench/workloads.js'
import { formatBench } from '../../src/cli/format-bench.js'
import { temporaryFolder } from '../replay/temporary-folder.js'
import { inProcess } from './support/run-cli.js'

const PROGRAM = fileURLToPath(new URL('../../dist/cli/agent-state.js', import.meta.url))

type Started = ChildProcessByStdio<null, Readable, Readable>

interface Ended {
  readonly status: number | null
  readonly output: string
  readonly errors: string
}

function bench(...args: readonly string[]): Promise<Ended> {
  return endOf(start(args))
}

/** Of what ends before it begins to measure. */
function answer(...args: readonly string[]): Promise<Ended> {
  return inProcess(['bench', ...args])
}

function start(args: readonly string[]): Started {
  const child = spawn(process.execPath, [PROGRAM, 'bench', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

function endOf(child: Started): Promise<Ended> {
  let output = ''
  let errors = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (status) => resolve({ status, output, errors }))
  })
}

async function measured(): Promise<{ report: BenchReport; left: readonly string[] }> {
  const root = await temporaryFolder()
  const { status, output, errors } = await bench('--root', root, '--seconds', '0.02', '--json')
  expect(status, output + errors).toBe(0)
  return { report: JSON.parse(output) as BenchReport, left: await readdir(root) }
}

describe('agent-state bench', () => {
  test('measures a disk, verifies what was acknowledged after reopening and after a kill, and leaves nothing (I1)', async () => {
    const { report, left } = await measured()
    expect(report.ok).toBe(true)
    expect(report.reopened.keys).toBeGreaterThan(0)
    expect(report.reopened.wrong).toEqual([])
    expect(report.killed.acknowledged).toBeGreaterThan(0)
    expect(report.killed.keys).toBeGreaterThan(0)
    expect(report.killed.wrong).toEqual([])
    for (const { perSecond, p50Us, p99Us, p999Us } of report.rows) {
      expect(perSecond).toBeGreaterThan(0)
      expect([p50Us, p99Us, p999Us]).toEqual([p50Us, p99Us, p999Us].toSorted((a, b) => a - b))
    }
    expect(left).toEqual([])

    const text = formatBench(report)
    expect(text).toContain('all that was acknowledged is there')
    expect(text).toContain(report.machine.fileSystem)
    expect(text.match(/^(write|read) .*\d$/gm)).toHaveLength(report.rows.length)
    const broken = formatBench({ ...report, ok: false, killed: { ...report.killed, wrong: ['again-3'] } })
    expect(broken).toContain('NOT ALL IS THERE: again-3')
  })

  test.runIf(existsSync('/dev/shm'))('refuses what is in memory only, and makes nothing there', async () => {
    const root = `/dev/shm/agent-state-bench-test-${process.pid}`
    const { status, errors } = await answer('--root', root)
    expect(status).toBe(2)
    expect(errors).toContain('nothing is durable there')
    expect(existsSync(root)).toBe(false)
  })

  test('refuses a root that is a file, and wrong usage', async () => {
    const used = await answer('--root', join(PROGRAM, 'below'))
    expect([used.status, used.errors]).toEqual([2, expect.stringContaining("can't be used")])
    expect((await answer()).status).toBe(2)
    expect((await answer('--root', '.', '--seconds', '0')).status).toBe(2)
  })

  test('tells what is wrong as one object a line with --json, wherever that stands', async () => {
    const commands = [
      ['--root', join(PROGRAM, 'below'), '--json'],
      ['--json'],
      ['--json', '--seconds', 'many'],
    ]
    const ended = await Promise.all(commands.map((args) => answer(...args)))
    expect(ended.map(({ status, output }) => [status, output])).toEqual(commands.map(() => [2, '']))
    const errors = ended.map((end): unknown => JSON.parse(end.errors))
    expect(errors).toMatchObject([
      { error: { command: 'bench', code: 'ROOT_UNUSABLE', exitCode: 2 } },
      { error: { command: 'bench', code: 'USAGE', exitCode: 2 } },
      { error: { command: 'bench', code: 'USAGE', exitCode: 2 } },
    ])
  })

  test.each<[NodeJS.Signals, number]>([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ])('stops in the middle of a measurement by %s, with %i, and leaves nothing', async (signal, expected) => {
    const root = await temporaryFolder()
    const child = start(['--root', root, '--seconds', '100'])
    const ended = endOf(child)
    const hasStore = async (): Promise<boolean> =>
      (await readdir(root, { recursive: true })).some((path) => path.endsWith('bench-7'))
    while (!(await hasStore())) await delay(20)
    child.kill(signal)
    const { status, output, errors } = await ended
    expect([status, output, errors]).toEqual([expected, '', ''])
    expect(await readdir(root)).toEqual([])
  })

  test('writes no more new keys than their files take a disk some seconds', () => {
    expect([0.00001, 0.02, 1, 4, 100].map(newKeysMax)).toEqual([1, 100, 5000, 20_000, 20_000])
  })

  test('says how it is used, and claims nothing about others', async () => {
    const { status, output } = await answer('--help')
    expect(status).toBe(0)
    expect(output).toContain('--root <dir>')
    expect(output).not.toMatch(/sqlite|lmdb|level|faster/i)
  })
})

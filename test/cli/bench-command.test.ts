import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { BenchReport } from '../../src/bench/bench.js'
import { formatBench } from '../../src/bench/format-bench.js'
import { temporaryFolder } from '../replay/temporary-folder.js'

const PROGRAM = fileURLToPath(new URL('../../dist/cli/agent-state.js', import.meta.url))

interface Ended {
  readonly status: number | null
  readonly output: string
  readonly errors: string
}

function bench(...args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, [PROGRAM, 'bench', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
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
    const { status, errors } = await bench('--root', root)
    expect(status).toBe(2)
    expect(errors).toContain('nothing is durable there')
    expect(existsSync(root)).toBe(false)
  })

  test('refuses a root that is a file, and wrong usage', async () => {
    const used = await bench('--root', join(PROGRAM, 'below'))
    expect([used.status, used.errors]).toEqual([2, expect.stringContaining("can't be used")])
    expect((await bench()).status).toBe(2)
    expect((await bench('--root', '.', '--seconds', '0')).status).toBe(2)
  })

  test('says how it is used, and claims nothing about others', async () => {
    const { status, output } = await bench('--help')
    expect(status).toBe(0)
    expect(output).toContain('--root <dir>')
    expect(output).not.toMatch(/sqlite|lmdb|level|faster/i)
  })
})

import { chmod, copyFile, cp, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { countTests, summaryLine } from '../../.ci/count-tests.mjs'
import { repository, run, type RunResult } from './repository.js'

/** A report as vitest writes it: for each file its status and those of its tests. */
function report(...files: readonly (readonly [string, ...string[]])[]): string {
  return JSON.stringify({
    testResults: files.map(([status, ...tests]) => ({
      status,
      assertionResults: tests.map((test) => ({ status: test })),
    })),
  })
}

describe('counting the tests of a run', () => {
  test('adds up the tests of all files', () => {
    const text = report(['passed', 'passed', 'passed'], ['failed', 'passed', 'failed'])
    expect(countTests(text, 1)).toEqual({ passed: 3, failed: 1, skipped: 0 })
  })

  test('counts as skipped whatever neither passed nor failed', () => {
    const text = report(['passed', 'passed', 'skipped', 'pending', 'todo', 'disabled'])
    expect(countTests(text, 0)).toEqual({ passed: 1, failed: 0, skipped: 4 })
  })

  test('counts a file that failed on its own as one failed test', () => {
    expect(countTests(report(['failed'], ['passed', 'passed']), 1)).toEqual({
      passed: 1,
      failed: 1,
      skipped: 0,
    })
    expect(countTests(report(['failed', 'passed']), 1)).toEqual({ passed: 1, failed: 1, skipped: 0 })
  })

  test('does not call a run a success that ended badly after its tests', () => {
    expect(countTests(report(['passed', 'passed']), 1)).toEqual({ passed: 1, failed: 1, skipped: 0 })
  })

  test.each([
    ['no report', null],
    ['a report that was cut off', '{"testResults":[{"sta'],
    ['a report of something else', '{}'],
    ['no test at all', report()],
    ['skipped tests only', report(['passed', 'skipped'])],
  ])('does not call %s a success', (_, text) => {
    for (const exitStatus of [0, 1])
      expect(countTests(text, exitStatus)).toMatchObject({ passed: 0, failed: 1 })
  })

  test('is said in one line, which names skipped tests only if there are any', () => {
    expect(summaryLine({ passed: 12, failed: 0, skipped: 0 })).toBe('12 passed, 0 failed')
    expect(summaryLine({ passed: 12, failed: 3, skipped: 1 })).toBe('12 passed, 3 failed, 1 skipped')
  })
})

describe('.ci/run', () => {
  let checkout: string

  beforeEach(async () => {
    checkout = await mkdtemp(join(tmpdir(), 'agent-state-ci-'))
    await cp(join(repository, '.ci'), join(checkout, '.ci'), { recursive: true })
    await mkdir(join(checkout, 'bin'))
    await mkdir(join(checkout, 'elsewhere'))
  })

  afterEach(async () => {
    await rm(checkout, { recursive: true, force: true })
  })

  /** Runs the script of the checkout, from another folder, with a shell script in the place of npm. */
  async function runWithNpm(npm: string): Promise<RunResult> {
    const path = join(checkout, 'bin', 'npm')
    await writeFile(path, `#!/bin/sh\n${npm}\n`)
    await chmod(path, 0o755)
    const env = { PATH: `${join(checkout, 'bin')}:${process.env['PATH']}` }
    return run(join(checkout, '.ci', 'run'), [], { cwd: join(checkout, 'elsewhere'), env })
  }

  /** The part of an npm that tests: leaves this report, and ends like this. */
  async function testing(text: string, status: number): Promise<string> {
    await writeFile(join(checkout, 'report.json'), text)
    return `echo "npm $*" >> calls.txt
[ "$1" = test ] || exit 0
mkdir .test-results && cp report.json .test-results/vitest.json
exit ${status}`
  }

  test('is executable', async () => {
    expect((await stat(join(repository, '.ci', 'run'))).mode & 0o111).toBe(0o111)
  })

  test('installs, tests and ends with the counts', async () => {
    const { status, stdout } = await runWithNpm(await testing(report(['passed', 'passed', 'skipped']), 0))
    expect(stdout.split('\n').slice(-2)).toEqual(['1 passed, 0 failed, 1 skipped', ''])
    expect(status).toBe(0)
    expect(await readFile(join(checkout, 'calls.txt'), 'utf8')).toBe('npm ci\nnpm test\n')
  })

  test('fails and says so when a test failed', async () => {
    const { status, stdout } = await runWithNpm(await testing(report(['failed', 'passed', 'failed']), 1))
    expect(stdout.split('\n').slice(-2)).toEqual(['1 passed, 1 failed', ''])
    expect(status).not.toBe(0)
  })

  test('fails when the report names a failure that the exit status hides', async () => {
    const { status, stdout } = await runWithNpm(await testing(report(['failed', 'failed']), 0))
    expect(stdout.split('\n').slice(-2)).toEqual(['0 passed, 1 failed', ''])
    expect(status).not.toBe(0)
  })

  test.each(['ci', 'test'])(
    'fails when npm %s does, whatever an earlier run had left behind',
    async (step) => {
      await mkdir(join(checkout, '.test-results'))
      await writeFile(join(checkout, '.test-results', 'vitest.json'), report(['passed', 'passed']))
      const { status, stdout } = await runWithNpm(`echo output; [ "$1" != ${step} ]`)
      expect(stdout.split('\n').slice(-2)).toEqual(['0 passed, 1 failed', ''])
      expect(status).not.toBe(0)
    },
  )

  test('fails with a last line even where Node is missing', async () => {
    const bin = join(checkout, 'bin')
    await copyFile('/bin/false', join(bin, 'node'))
    const { status, stdout } = await runWithNpm(await testing(report(['passed', 'passed']), 0))
    expect(stdout.split('\n').slice(-2)).toEqual(['0 passed, 1 failed', ''])
    expect(status).not.toBe(0)
  })
})

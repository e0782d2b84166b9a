/** The torture runner in a tiny form: what it says of a run is true, and what failed can be repeated with what it says. */
import { once } from 'node:events'
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { KINDS, kindsNamed } from '../torture/kinds.mjs'
import { addUp, table } from '../torture/numbers.mjs'
import { childEnvironment, repository, run, type RunResult } from './repository.js'

const FAILS = 'test/torture/fixtures/fails-at-a-seed.ts'
const GOES_ON = 'test/torture/fixtures/goes-on.ts'

function torture(...settings: string[]): Promise<RunResult> {
  return run(process.execPath, ['test/torture.mjs', ...settings], { cwd: repository })
}

/** A number of the table at the end. */
function countIn(stdout: string, what: string): number {
  const found = new RegExp(`^\\| ${what} +\\| +([\\d,]+) \\|$`, 'm').exec(stdout)?.[1]
  return Number((found ?? 'missing').replaceAll(',', ''))
}

test('a run tells its numbers, and goes on for as long as it was asked to', async () => {
  const begun = performance.now()
  const { status, stdout, stderr } = await torture('--seed', '5', '--minutes', '0.02', '--only', GOES_ON)
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(performance.now() - begun).toBeGreaterThan(1200)
  expect(countIn(stdout, 'random seeds')).toBeGreaterThan(10)
  expect(stdout).toMatch(/\d tests passed, 0 failed, seed 5\n/)
  expect(stdout).toContain('--seed 5 --minutes 0.02\n')
})

test('what fails is said with the seed and the command that repeats just that, and does', async () => {
  const found = await torture('--seed', '20', '--minutes', '0.01', '--only', FAILS)
  expect(found.status).toBe(1)
  expect(found.stdout).toContain('a fixture, AGENT_STATE_SEED=27: as was wanted')
  expect(found.stdout).toContain('1 tests passed, 1 failed, seed 20\n')
  expect([countIn(found.stdout, 'random seeds'), countIn(found.stdout, 'files damaged')]).toEqual([7, 4000])
  const title = `'it isn'\\''t the seed 7'`
  const command = `npm run test:torture -- --seed 27 --minutes 0 --short --only ${FAILS} --test ${title}`
  expect(found.stdout.trimEnd().split('\n').at(-1)).toBe(`  ${command}`)

  const again = await run(
    '/bin/sh',
    ['-c', command.replace('npm run test:torture --', 'node test/torture.mjs')],
    {
      cwd: repository,
    },
  )
  expect(again.status).toBe(1)
  expect(again.stdout).toContain('0 tests passed, 1 failed, seed 27\n')
  expect(countIn(again.stdout, 'files damaged')).toBe(500)
})

test('a run that is interrupted tells the numbers so far', async () => {
  const child = spawn(process.execPath, ['test/torture.mjs', '--minutes', '60', '--only', GOES_ON], {
    cwd: repository,
    env: childEnvironment(),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close')
  let said = ''
  for await (const text of child.stdout.setEncoding('utf8') as AsyncIterable<string>) {
    said += text
    if (/from seed/.test(text)) child.kill('SIGINT')
  }
  expect(await ended).toEqual([130, null])
  expect(said).toMatch(/, 0 failed, seed \d+, interrupted\n/)
  expect(said).toMatch(/^\| minutes and seconds /m)
})

test.each([
  ['--seed', '-1'],
  ['--minutes', 'x'],
  ['--only', 'nothing'],
  ['--long', '--short'],
  ['--sead', '1'],
])('what can not be meant is refused: %s %s', async (...settings) => {
  const { status, stderr } = await torture(...settings)
  expect([status, /Error/.test(stderr)]).toEqual([1, true])
})

test('every test that goes on from seed to seed has its share of a run, and every file of a run is there', () => {
  const inRun = KINDS.flatMap(({ files }) => files)
  for (const file of inRun) expect(() => readFileSync(join(repository, file)), file).not.toThrow()
  expect(new Set(inRun).size).toBe(inRun.length)
  const seeded = readdirSync(join(repository, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts') && !name.startsWith('project'))
    .map((name) => join('test', name))
    .filter((file) =>
      /forSeeds\(|describe(Histories|Properties|Concurrency)\(/.test(
        readFileSync(join(repository, file), 'utf8'),
      ),
    )
  expect(seeded.length).toBeGreaterThan(10)
  const sharing = KINDS.filter(({ shares }) => shares > 0).flatMap(({ files }) => files)
  expect(sharing).toEqual(expect.arrayContaining(seeded))
})

test('kinds are named as the table has them, and a test file is a kind of its own', () => {
  expect(kindsNamed([])).toBe(KINDS)
  expect(kindsNamed(['faults', 'test/a.test.ts']).map(({ name }) => name)).toEqual([
    'faults',
    'test/a.test.ts',
  ])
})

test('a table has its numbers below each other', () => {
  expect(
    table([
      ['what', 'count'],
      ['files damaged', '4,000'],
    ]),
  ).toBe('| what          | count |\n| ------------- | ----: |\n| files damaged | 4,000 |\n')
  expect(() => addUp('/nowhere')).toThrow('ENOENT')
})

import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Results } from '../../benchmarks/src/harness/results.js'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)

/** What a run of each scenario must have measured, for contestants that need no installation. */
const scenarios: Readonly<Record<string, readonly string[]>> = {
  durability: ['acknowledged', 'lost', 'wrong'],
  flushes: ['operations', 'isTraced'],
  distinct: [
    'perSecond',
    'p50Us',
    'p99Us',
    'p999Us',
    'perSecondWithDrain',
    'cpuUs',
    'diskBytes',
    'memoryMiB',
  ],
  'hot-set': ['perSecond', 'p50Us', 'p99Us', 'p999Us', 'perSecondWithDrain', 'cpuUs', 'memoryMiB'],
  namespaces: ['perSecond', 'p99Us'],
  'value-size': ['perSecond', 'p99Us'],
  'open-loop': ['perSecond', 'p50Us', 'p99Us', 'p999Us', 'maxUs'],
  reads: ['operations', 'p99Us'],
  mixed: ['perSecond', 'readP99Us', 'writeP99Us'],
  threads: ['operations', 'p99Us'],
  events: ['perSecond', 'deliveriesPerSecond'],
  opening: ['openMs', 'touchMs', 'drainMs', 'logMiB'],
  sustained: ['perSecond', 'worstSecond', 'perSecondWithDrain', 'memoryMiB'],
}

let folder = ''

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'agent-state-benchmarks-'))
  await run('npx', ['tsc', '-p', 'benchmarks/tsconfig.json'], { cwd: repository })
})

afterAll(() => rm(folder, { recursive: true, force: true }))

async function bench(...options: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  const places = ['--root', join(folder, 'data'), '--results', join(folder, 'results')]
  const tiny = ['--profile', 'tiny', '--no-rivals', '--no-report', '--flush-delay-ms', '0']
  const program = join(repository, 'benchmarks/dist/main.js')
  return run(process.execPath, [program, ...tiny, ...places, ...options], { cwd: repository })
}

async function resultsOf(name: string): Promise<Results> {
  return JSON.parse(await readFile(join(folder, 'results', `${name}.json`), 'utf8')) as Results
}

describe('the benchmarks', () => {
  test('peak memory of a process is its own, not that of its parent', async () => {
    const parents = Buffer.alloc(256 * 1024 * 1024, 1)
    const program = `import(${JSON.stringify(join(repository, 'benchmarks/dist/harness/usage.js'))})
      .then(({ peakMemoryMiB }) => console.log(peakMemoryMiB()))`
    const { stdout } = await run(process.execPath, ['-e', program])
    expect(Number(stdout)).toBeGreaterThan(10)
    if (process.platform === 'linux') expect(Number(stdout)).toBeLessThan(parents.length / 1024 / 1024)
  })

  test.each(Object.entries(scenarios))(
    '%s runs tiny, without rivals, and keeps what it measured',
    async (name, measures) => {
      await bench('--only', name, '--contestants', 'agent-state,floor,bare files')
      const results = await resultsOf(name)
      expect(results.failures).toEqual([])
      expect(results.isComplete).toBe(true)
      expect(results.machine.fileSystem).not.toBe('tmpfs')
      const ours = results.cells.filter(({ contestant }) => contestant === 'agent-state')
      expect(ours).not.toEqual([])
      for (const { runs } of ours) {
        for (const measure of measures) expect(runs[measure], measure).toEqual([expect.any(Number)])
      }
    },
  )

  test('nothing that agent-state acknowledged is lost when its process is killed (I1)', async () => {
    const { cells } = await resultsOf('durability')
    for (const { contestant, runs } of cells) {
      expect(runs['acknowledged']![0], contestant).toBeGreaterThan(0)
      expect([runs['lost'], runs['wrong']], contestant).toEqual([[0], [0]])
    }
  })

  test('nothing is acknowledged before a flush was asked for, and the counts of flushes agree', async () => {
    const { cells } = await resultsOf('flushes')
    for (const { contestant, runs } of cells) {
      if (runs['counted'] === undefined) continue
      expect(runs['unflushed'], contestant).toEqual([0])
      expect(runs['counted'][0], contestant).toBeGreaterThan(0)
      if (runs['traced'] !== undefined) expect(runs['traced'], contestant).toEqual(runs['counted'])
    }
  })

  test('refuses a scenario that there is not', async () => {
    await expect(bench('--only', 'nothing')).rejects.toThrow('there is no scenario nothing')
  })

  test.runIf(existsSync('/dev/shm'))('refuses to measure what is kept in memory only', async () => {
    const root = await mkdtemp('/dev/shm/agent-state-benchmarks-')
    try {
      await expect(bench('--only', 'mixed', '--root', root)).rejects.toThrow('nothing is durable there')
    } finally {
      await rm(root, { recursive: true })
    }
  })
})

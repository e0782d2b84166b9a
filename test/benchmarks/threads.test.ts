import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

test('the benchmark of threads runs tiny, and prints what it measured', async () => {
  const program = fileURLToPath(new URL('../../benchmarks/threads.mjs', import.meta.url))
  const tiny = ['--threads', '1,2', '--callers', '2', '--seconds', '0.05', '--repetitions', '1', '--json']
  const { stdout } = await promisify(execFile)(process.execPath, [program, ...tiny])
  const { rows } = JSON.parse(stdout) as {
    rows: { threads: number; inThreads: unknown; inStoreThread: unknown }[]
  }
  expect(rows.map(({ threads }) => threads)).toEqual([1, 2])
  const positive = { perSecond: expect.any(Number) as number, p99Ms: expect.any(Number) as number }
  for (const { inThreads, inStoreThread } of rows)
    expect([inThreads, inStoreThread]).toEqual([positive, positive])
})

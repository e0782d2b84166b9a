import { mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { WorkerPools } from '../../../src/backend/file/task-runner.js'
import type { HeadsTask, Task } from '../../../src/backend/file/tasks.js'
import { TreeFixture } from './tree-fixture.js'

const WORKER = new URL('../../../dist/backend/file/worker-entry.cjs', import.meta.url)

let tree: TreeFixture
let pools: WorkerPools

beforeEach(() => {
  tree = new TreeFixture()
  pools = new WorkerPools(1, WORKER)
})
afterEach(async () => {
  await pools.close()
  tree.remove()
})

function heads(count: number): HeadsTask {
  const keys = Array.from({ length: count }, (_, index) => `k${index}`)
  return { kind: 'heads', context: tree.context, namespace: 'ns', keys, ceiling: 1, epoch: 1 }
}

describe('worker threads', () => {
  test('answer a task before they begin with the next one that they have', async () => {
    const runInWorker = createRequire(import.meta.url)(fileURLToPath(WORKER)) as (
      task: Task,
    ) => Promise<unknown>
    const order: string[] = []
    const call = async (name: string): Promise<void> => {
      const { kind, ...task } = heads(0)
      let begun = false
      const noted = {
        ...task,
        get kind() {
          if (!begun) order.push(`${name} begins`)
          begun = true
          return kind
        },
      }
      await runInWorker(noted)
      order.push(`${name} is answered`)
    }
    await Promise.all([call('first'), call('second'), call('third')])
    expect(order).toEqual(
      ['first', 'second', 'third'].flatMap((name) => [`${name} begins`, `${name} is answered`]),
    )
  })

  test('answer everybody, however many tasks there are at once', async () => {
    mkdirSync(tree.path('ns'))
    const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => pools.run(heads(index))))
    expect(answers.map(({ length }) => length)).toEqual(answers.map((_, index) => index))
  })

  test('die of nobody’s task but those that kill them', async () => {
    const path = tree.path('worker.cjs')
    writeFileSync(
      path,
      `module.exports = ({ namespace }) => (namespace === 'deadly' ? process.exit(1) : namespace)`,
    )
    const deadly = new WorkerPools(1, pathToFileURL(path))
    const named = (namespace: string): Promise<unknown> => deadly.run({ ...heads(0), namespace })
    const names = Array.from({ length: 30 }, (_, index) => (index % 10 === 3 ? 'deadly' : `n${index}`))
    const answers = await Promise.allSettled(names.map(named))
    expect(answers.map((answer) => (answer.status === 'fulfilled' ? answer.value : 'deadly'))).toEqual(names)
    await deadly.close()
  })
})

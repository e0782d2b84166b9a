import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { BackendHost, CommitOutcome } from '../../../src/backend/backend.js'
import { readCheckpoint } from '../../../src/backend/file/checkpoint.js'
import { nodeFileSystem, systemError, type FileSystem } from '../../../src/backend/file/file-system.js'
import type { FileBackendParts } from '../../../src/backend/file/file-backend.js'
import { openRoot, type OpenRoot } from '../../../src/backend/file/open-root.js'
import { runTask } from '../../../src/backend/file/run-task.js'
import { SEGMENT_BYTES } from '../../../src/backend/file/segment.js'
import type { MaterializeTask, Task } from '../../../src/backend/file/tasks.js'
import { deferred, failureOf, nextTurn, refusal } from '../../../src/contract/observe.js'
import type { AgentStateError } from '../../../src/errors.js'
import { DEFAULT_LIMITS, type Limits } from '../../../src/limits.js'
import { checkOpenOptions } from '../../../src/open-options.js'
import { planOf, written } from './committing.js'
import { unsyncedFileSystem } from './faulty-file-system.js'
import { STORE_ID, temporaryDirectory } from './journal-builder.js'
import { ScriptedRunner } from './scripted-runner.js'

const MIB = 1024 * 1024

/** A root that can be opened again and again, by parts that are a test's. */
class RootUnderTest {
  directory = temporaryDirectory()
  readonly locked: string[] = []
  readonly warnings: string[] = []
  readonly failures: AgentStateError[] = []
  readonly externals: string[] = []
  readonly runners: ScriptedRunner[] = []
  fs: FileSystem = { ...unsyncedFileSystem }
  limits: Partial<Limits> = {}
  /** Answers a task in the worker's place; undefined: it is done. */
  instead: (task: Task) => unknown = () => undefined

  async open(): Promise<OpenRoot> {
    const settings = checkOpenOptions({ root: this.directory })
    if (settings.kind !== 'file') throw new Error('these are the settings of a root')
    const { root } = await openRoot(settings, this.#parts(), this.#host())
    onTestFinished(() =>
      root.close({ flush: false }).then(
        () => {},
        () => {},
      ),
    )
    return root
  }

  path(...parts: string[]): string {
    return join(this.directory, ...parts)
  }

  /** A root whose tree gets nothing, as long as it is open; what is opened later is whole. */
  async openHeld(): Promise<OpenRoot> {
    const ended = deferred()
    this.instead = (task) =>
      task.kind === 'materialize' ? ended.promise.then(() => runTask(this.fs, task)) : undefined
    const root = await this.open()
    onTestFinished(() => ended.resolve())
    this.instead = () => undefined
    return root
  }

  /** As `kill -9` leaves it: what is on the disk now goes on elsewhere. */
  kill(): void {
    const copy = temporaryDirectory()
    cpSync(this.directory, copy, { recursive: true })
    this.directory = copy
    this.locked.length = 0
  }

  #parts(): FileBackendParts {
    return {
      fs: this.fs,
      acquireLock: () => {
        this.locked.push('taken')
        return Promise.resolve({
          release: () => {
            this.locked.push('released')
            return Promise.resolve()
          },
        })
      },
      runner: () => {
        const runner = new ScriptedRunner()
        const { instead } = this
        runner.script = (task) => instead(task) ?? runTask(this.fs, task)
        this.runners.push(runner)
        return runner
      },
      newStoreId: () => STORE_ID,
    }
  }

  #host(): BackendHost {
    return {
      limits: { ...DEFAULT_LIMITS, ...this.limits },
      failed: (error) => void this.failures.push(error),
      warning: (code) => void this.warnings.push(code),
      external: (_namespace, key) => void this.externals.push(key),
    }
  }
}

async function commit(
  root: OpenRoot,
  ...plans: ReturnType<typeof planOf>[]
): Promise<readonly CommitOutcome[]> {
  return root.commits.commit(plans)
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await nextTurn()
}

const NO_PERMISSION = (task: MaterializeTask) => ({
  failures: task.operations.map((_, index) => ({ index, code: 'EACCES', message: 'no permission' })),
  preserved: [],
})

describe('opening', () => {
  test('I10: a root is locked before anything in it is touched, and released last', async () => {
    const under = new RootUnderTest()
    const root = await under.open()
    expect(under.locked).toEqual(['taken'])
    expect(await root.close({ flush: true })).toBe(true)
    expect(under.locked).toEqual(['taken', 'released'])
    expect(under.runners[0]!.isClosed).toBe(true)
  })

  test('what a process that died was writing is swept, what others put there stays', async () => {
    const under = new RootUnderTest()
    await (await under.open()).close({ flush: true })
    writeFileSync(under.path('.agent_state', 'tmp', 'left'), 'half')
    mkdirSync(under.path('.agent_state', 'tmp', 'directory'))
    await under.open()
    expect(readdirSync(under.path('.agent_state', 'tmp'))).toEqual(['directory'])
  })

  test('I10, I11: an opening that fails leaves nothing behind: no lock, no worker, no file, nothing that goes on', async () => {
    const under = new RootUnderTest()
    const opened = new Set<number>()
    under.fs = {
      ...unsyncedFileSystem,
      open: (...args) => {
        const fd = nodeFileSystem.open(...args)
        opened.add(fd)
        return fd
      },
      close: (fd) => {
        opened.delete(fd)
        nodeFileSystem.close(fd)
      },
    }
    const first = await under.openHeld()
    await commit(first, planOf('n', 'create', written('k', 'v')))
    under.kill()
    const before = new Set(opened)
    under.instead = (task) => {
      if (task.kind === 'materialize') return NO_PERMISSION(task)
      if (task.kind === 'prepare-segment') return { failure: { code: 'EIO', message: 'the disk is broken' } }
      return undefined
    }
    expect(await failureOf(() => under.open())).toMatchObject({ code: 'ROOT_UNUSABLE', cause: 'EIO' })
    expect(under.locked).toEqual(['taken', 'released'])
    expect(under.runners.at(-1)!.isClosed).toBe(true)
    expect([...opened].filter((fd) => !before.has(fd))).toEqual([])
    under.instead = () => undefined
    const again = await under.open()
    expect(readFileSync(under.path('n', 'k'), 'utf8')).toBe('v')
    expect(await again.close({ flush: true })).toBe(true)
  })

  test('segments of a clean end are filled again; others are deleted', async () => {
    const under = new RootUnderTest()
    const segments = (): number[] =>
      readdirSync(under.path('.agent_state', 'journal')).map(
        (name) => statSync(under.path('.agent_state', 'journal', name)).size / MIB,
      )
    const first = await under.open()
    await commit(first, planOf('n', 'create', written('k', 'v')))
    await commit(first, planOf('n', written('k', new Uint8Array(5 * MIB))))
    expect(segments()).toContain(16)
    await first.close({ flush: true })
    const second = await under.open()
    expect(segments()).toEqual([16])
    expect(await commit(second, planOf('n', written('k', 'v')))).toMatchObject([{ status: 'committed' }])
    await second.close({ flush: true })
    const third = await under.open()
    expect((await third.source.read('n', ['k']))[0]!.value).toEqual(new Uint8Array(Buffer.from('v')))
  })

  test('an old segment that can not be deleted is warned of, and in nobody’s way', async () => {
    const under = new RootUnderTest()
    const first = await under.openHeld()
    await commit(first, planOf('n', 'create', written('k', 'v')))
    under.kill()
    under.instead = (task) => {
      if (task.kind === 'remove-segments') throw new Error('the worker died')
      return undefined
    }
    const root = await under.open()
    expect(under.warnings).toEqual(['SEGMENT_LEFT'])
    expect(await root.close({ flush: true })).toBe(true)
  })

  test('no room for a journal is a clear error', async () => {
    const under = new RootUnderTest()
    under.instead = (task) =>
      task.kind === 'prepare-segment' ? { failure: { code: 'ENOSPC', message: 'full' } } : undefined
    const error = await refusal('NO_SPACE', () => under.open())
    expect(error).toMatchObject({ cause: 'ENOSPC', retryable: true })
    expect(under.locked).toEqual(['taken', 'released'])
  })
})

describe('recovery', () => {
  test('I1: what was acknowledged is there after a kill, with its revision, and is brought into the tree', async () => {
    const under = new RootUnderTest()
    const first = await under.openHeld()
    const [outcome] = await commit(first, planOf('n', 'create', written('k', 'v')))
    under.kill()
    const second = await under.open()
    expect(readFileSync(under.path('n', 'k'), 'utf8')).toBe('v')
    const [head] = await second.source.heads('n', ['k'])
    expect(head).toMatchObject({ revision: (outcome as { revision: number }).revision + 1, external: false })
    expect(second.checkpointer.revision).toBeGreaterThan(first.checkpointer.revision)
  })

  test('a backlog that is too large to be waited for gets into the tree, although nobody commits', async () => {
    const under = new RootUnderTest()
    const first = await under.openHeld()
    const keys = Array.from({ length: 1001 }, (_, index) => `k${index}`)
    await commit(first, planOf('n', 'create', ...keys.map((key) => written(key, 'v'))))
    under.kill()
    await under.open()
    while (!existsSync(under.path('n', 'k1000'))) await turns(10)
    expect(readFileSync(under.path('n', 'k1000'), 'utf8')).toBe('v')
  })

  test('I1: what can not be brought into the tree is carried on, from opening to opening', async () => {
    const under = new RootUnderTest()
    const first = await under.openHeld()
    await commit(first, planOf('n', 'create', written('k', 'v'), { kind: 'delete', key: 'd' }))
    under.kill()
    under.instead = (task) => (task.kind === 'materialize' ? NO_PERMISSION(task) : undefined)
    for (let opening = 0; opening < 3; opening++) {
      const root = await under.open()
      expect((await root.source.read('n', ['k']))[0]).toMatchObject({ head: { external: false } })
      expect(await root.close({ flush: true })).toBe(false)
    }
    expect(under.warnings).toContain('TREE_STUCK')
    under.instead = () => undefined
    const last = await under.open()
    expect(readFileSync(under.path('n', 'k'), 'utf8')).toBe('v')
    expect(await last.close({ flush: true })).toBe(true)
  })

  test('I1: no checkpoint passes what was found before it is durable elsewhere, also on a full disk', async () => {
    const under = new RootUnderTest()
    const first = await under.openHeld()
    const keys = ['a', 'b', 'c', 'd', 'e']
    for (const key of keys) await commit(first, planOf('n', written(key, Buffer.alloc(5 * MIB, key))))
    under.kill()
    const checkpoint = under.path('.agent_state', 'checkpoint')
    const before = readCheckpoint(nodeFileSystem, checkpoint, STORE_ID).state.position
    // Room for a first segment and one more: only a part can be carried, so the rest has to get into the tree.
    let segments = 0
    const positions: unknown[] = []
    under.instead = (task) => {
      if (task.kind === 'materialize') {
        // What else is done meanwhile gets its time.
        return turns(100).then(() => {
          positions.push(readCheckpoint(nodeFileSystem, checkpoint, STORE_ID).state.position)
          return runTask(under.fs, task)
        })
      } else if (task.kind === 'prepare-segment' && ++segments > 2) {
        return { failure: { code: 'ENOSPC', message: 'full' } }
      }
      return undefined
    }
    await under.open()
    expect(positions.length).toBeGreaterThan(1)
    expect(positions).toEqual(positions.map(() => before))
    for (const key of keys) expect(readFileSync(under.path('n', key))[0]).toBe(key.charCodeAt(0))
  })
})

test('I9: what is too large for the room there is does not have small segments take it up', async () => {
  const under = new RootUnderTest()
  let prepared = 0
  under.instead = (task) => {
    if (task.kind !== 'prepare-segment') return undefined
    if (task.bytes > SEGMENT_BYTES) return { failure: { code: 'ENOSPC', message: 'full' } }
    prepared++
    return undefined
  }
  const root = await under.open()
  for (let attempt = 0; attempt < 6; attempt++) {
    await root.ready()
    const [outcome] = await commit(root, planOf('n', 'create', written('k', new Uint8Array(20 * MIB))))
    expect(outcome).toMatchObject({ status: 'rejected', error: { code: 'NO_SPACE' } })
  }
  expect(prepared).toBeLessThanOrEqual(2)
})

describe('failing', () => {
  test('I8: after a failed sync: no append, no checkpoint, no task; reads go on; the lock stays until closed', async () => {
    const under = new RootUnderTest()
    const calls: string[] = []
    let fails = false
    under.fs = {
      ...unsyncedFileSystem,
      writeAsync: (...args) => {
        calls.push('write')
        return nodeFileSystem.writeAsync(...args)
      },
      datasyncAsync: (fd) =>
        fails ? Promise.reject(systemError('EIO', 'the disk')) : nodeFileSystem.datasyncAsync(fd),
    }
    const root = await under.open()
    await commit(root, planOf('n', 'create', written('k', 'v')))
    fails = true
    const [outcome] = await commit(root, planOf('n', written('k', 'unknown')))
    expect(outcome).toMatchObject({ status: 'unknown', cause: { code: 'EIO' } })
    expect(under.failures).toMatchObject([{ code: 'STORE_FAILED' }])
    calls.length = 0
    expect(await commit(root, planOf('n', written('k', 'later')))).toMatchObject([{ status: 'rejected' }])
    expect(root.ready()).toBeNull()
    expect((await root.source.read('n', ['k']))[0]!.value).toEqual(new Uint8Array(Buffer.from('v')))
    expect(under.locked).toEqual(['taken'])
    await root.close({ flush: true })
    expect(calls).toEqual([])
    expect(under.locked).toEqual(['taken', 'released'])
  })

  test('I11: a flush of a store that has failed does not wait for ever', async () => {
    const under = new RootUnderTest()
    under.instead = (task) => (task.kind === 'materialize' ? NO_PERMISSION(task) : undefined)
    const root = await under.open()
    await commit(root, planOf('n', 'create', written('k', 'v')))
    root.commits.fail(new Error('EIO'))
    await refusal('TREE_STUCK', () => root.materializer.flush())
  })

  test('a checkpoint that can not be written at the end is warned of, and the next opening recovers', async () => {
    const under = new RootUnderTest()
    let fails = false
    under.fs = {
      ...unsyncedFileSystem,
      datasyncAsync: (fd) =>
        fails ? Promise.reject(systemError('EIO', 'the disk')) : nodeFileSystem.datasyncAsync(fd),
    }
    const root = await under.open()
    await commit(root, planOf('n', 'create', written('k', 'v')))
    await root.materializer.flush()
    fails = true
    expect(await root.close({ flush: true })).toBe(false)
    expect(under.warnings).toEqual(['CHECKPOINT_FAILED'])
    expect(under.locked).toEqual(['taken', 'released'])
    fails = false
    const again = await under.open()
    expect((await again.source.read('n', ['k']))[0]!.value).toEqual(new Uint8Array(Buffer.from('v')))
  })

  test('whatever fails while it is taken apart, the lock is released', async () => {
    const under = new RootUnderTest()
    const root = await under.open()
    under.runners[0]!.close = () => Promise.reject(new Error('a worker hangs'))
    await root.close({ flush: true }).catch(() => {})
    expect(under.locked).toEqual(['taken', 'released'])
  })
})

test('I10: an opening whose root is replaced meanwhile fails, and deletes nothing of the other one', async () => {
  const under = new RootUnderTest()
  const root = await under.openHeld()
  await commit(root, planOf('n', written('k')))
  under.kill()
  const journal = under.path('.agent_state', 'journal')
  let left: string[] | null = null
  const { datasyncAsync } = under.fs
  under.fs = {
    ...under.fs,
    datasyncAsync: async (fd) => {
      await datasyncAsync(fd)
      // What was found is in a new segment: soon the old ones are not needed any more.
      if (left !== null || readdirSync(journal).length < 2) return
      const aside = join(temporaryDirectory(), 'aside')
      renameSync(under.directory, aside)
      cpSync(aside, under.directory, { recursive: true })
      left = readdirSync(journal)
    },
  }
  await refusal('STORE_FAILED', () => under.open())
  expect(left).toHaveLength(2)
  expect(readdirSync(journal)).toEqual(left)
})

describe('backpressure', () => {
  test('I9: with a full backlog writers wait until there is room', async () => {
    const under = new RootUnderTest()
    under.limits = { backlogKeysMax: 2 }
    const root = await under.open()
    expect(root.ready()).toBeNull()
    const runner = under.runners[0]!
    runner.script = (task) => (task.kind === 'materialize' ? undefined : runTask(under.fs, task))
    await commit(root, planOf('n', written('k'), written('l')))
    const ready = root.ready()
    expect(ready).not.toBeNull()
    const held = runner.nextMaterialize()
    held.answer(runTask(under.fs, held.task))
    await ready
    expect(root.ready()).toBeNull()
  })

  test('what is stuck keeps nobody waiting: that would be for ever', async () => {
    const under = new RootUnderTest()
    under.limits = { backlogKeysMax: 1 }
    under.instead = (task) => (task.kind === 'materialize' ? NO_PERMISSION(task) : undefined)
    const root = await under.open()
    await commit(root, planOf('n', written('k'), written('l')))
    await refusal('TREE_STUCK', () => root.materializer.flush())
    expect(root.ready()).toBeNull()
  })

  test('I11: who waits for room when the store fails goes on, to be told so', async () => {
    const under = new RootUnderTest()
    under.limits = { backlogKeysMax: 1 }
    const root = await under.open()
    const runner = under.runners[0]!
    runner.script = (task) => (task.kind === 'materialize' ? undefined : runTask(under.fs, task))
    await commit(root, planOf('n', written('k'), written('l')))
    const ready = root.ready()
    root.commits.fail(new Error('EIO'))
    await ready
    const held = runner.nextMaterialize()
    held.answer(runTask(under.fs, held.task))
  })
})

describe('names that the medium takes for one', () => {
  test('a namespace that would share the directory of another one is refused; itself it is not', async () => {
    const under = new RootUnderTest()
    // A file system that finds files by any spelling, as far as the probe looks at it.
    under.fs = {
      ...unsyncedFileSystem,
      lstat: (path) =>
        nodeFileSystem.lstat(path) ??
        (path.endsWith('-A') ? nodeFileSystem.lstat(path.slice(0, -1) + 'a') : null),
    }
    under.instead = (task) =>
      task.kind === 'scan-namespace' ? { exists: true, keys: ['k'], failure: null } : undefined
    const root = await under.open()
    mkdirSync(under.path('Name'))
    expect(await root.load('Name')).toMatchObject({ exists: true })
    const error = await refusal('INVALID_NAMESPACE', () => root.load('name'))
    expect(error).toMatchObject({ namespace: 'name', outcome: 'unchanged' })
    expect(error.message).toMatch("'Name'")
  })
})

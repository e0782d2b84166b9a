import { beforeEach, describe, expect, test, vi } from 'vitest'
import { decodeRecords } from '../../../src/backend/file/frame-decoder.js'
import { decodeHeader, FRAME_HEADER_BYTES } from '../../../src/backend/file/frame.js'
import { FrameEncoder } from '../../../src/backend/file/frame-encoder.js'
import { SEGMENT_BYTES } from '../../../src/backend/file/segment.js'
import type { JournalRecord } from '../../../src/backend/file/tasks.js'
import { deferred, failureOf } from '../../../src/contract/observe.js'
import { planOf, startCommitting, written, type Committing } from './committing.js'
import { write } from './journal-builder.js'

const clock = vi.hoisted(() => ({ nowMs: 0 }))
vi.mock('node:perf_hooks', () => ({ performance: { now: () => clock.nowMs } }))
beforeEach(() => void (clock.nowMs = 1000))

/** The records of all frames, one list a frame. */
function frames({ fs }: Committing): JournalRecord[][] {
  const found: JournalRecord[][] = []
  for (const file of fs.files.values()) {
    for (let offset = 0; ;) {
      const header = decodeHeader(file, offset)
      if (header === null) break
      const start = offset + FRAME_HEADER_BYTES
      const body = file.subarray(start, start + header.bodyBytes)
      found.push(decodeRecords(body, header, { segment: header.segment, position: start }) ?? [])
      offset += Math.ceil((FRAME_HEADER_BYTES + header.bodyBytes) / 4096) * 4096
    }
  }
  return found
}

function valueOf({ fs, backlog }: Committing, namespace: string, key: string): string {
  const pending = backlog.find(namespace, key)
  if (pending?.kind !== 'write') throw new Error(`no write of ${key} is pending`)
  return fs.files
    .get(pending.segment.path)!
    .subarray(pending.position, pending.position + pending.size)
    .toString()
}

/** Fills the segment, and the disk with it, up to what is kept for deletions. */
async function fillDisk(made: Committing): Promise<void> {
  made.disk = 'ENOSPC'
  const value = new Uint8Array(SEGMENT_BYTES - 64 * 1024 - 2 * 4096)
  expect(await made.commits.commit([planOf('filling', written('k', value))])).toMatchObject([
    { status: 'committed' },
  ])
}

describe('a group', () => {
  test('plans of all namespaces go into one frame, with one sync', async () => {
    const made = await startCommitting()
    made.fs.calls.length = 0
    const plans = [planOf('a', 'create', written('k', 'v')), planOf('b', written('k'), written('l'))]
    const outcomes = await made.commits.commit(plans)
    expect(outcomes).toEqual([
      { status: 'committed', revision: 2 },
      { status: 'committed', revision: 4 },
    ])
    expect(made.fs.calls.filter((call) => call.startsWith('datasync')).length).toBe(1)
    expect(
      frames(made).map((records) => records.map(({ namespace, revision }) => [namespace, revision])),
    ).toEqual([
      [
        ['a', 2],
        ['a', 3],
        ['b', 4],
        ['b', 5],
      ],
    ])
    expect(made.committed).toBe(1)
  })

  test('what is committed is in the backlog, with the place of its value', async () => {
    const made = await startCommitting()
    await made.commits.commit([planOf('a', 'create', written('k', 'first'), written('l', 'other'))])
    await made.commits.commit([planOf('a', written('k', 'second'), { kind: 'delete', key: 'm' })])
    expect([valueOf(made, 'a', 'k'), valueOf(made, 'a', 'l')]).toEqual(['second', 'other'])
    expect(made.backlog.find('a', 'm')).toMatchObject({ kind: 'delete', revision: 6 })
    expect(made.backlog.get('a')!.change).toMatchObject({ change: 'create', revision: 2 })
    await made.commits.commit([planOf('a', 'remove')])
    expect(made.backlog.get('a')!.count).toBe(1)
  })

  test('I1, I2: nothing is answered or in the backlog before the sync', async () => {
    const made = await startCommitting()
    const syncing = deferred()
    made.fs.delay = (call) => (call === 'datasync' ? syncing.promise : Promise.resolve())
    let isAnswered = false
    const committing = made.commits.commit([planOf('a', written('k'))]).then(() => (isAnswered = true))
    await new Promise((resolve) => setImmediate(resolve))
    expect([isAnswered, made.backlog.count, made.commits.isIdle]).toEqual([false, 0, false])
    syncing.resolve()
    await committing
    expect([made.backlog.count, made.commits.isIdle]).toEqual([1, true])
  })

  test('two groups under way are appended in the order of their revisions', async () => {
    const made = await startCommitting()
    const [first, second] = await Promise.all([
      made.commits.commit([planOf('a', written('k'))]),
      made.commits.commit([planOf('b', written('k'))]),
    ])
    expect([first, second]).toMatchObject([[{ revision: 2 }], [{ revision: 3 }]])
    expect(frames(made).map(([record]) => record!.namespace)).toEqual(['a', 'b'])
  })

  test('a revision that the checkpoint does not cover yet waits for it', async () => {
    const made = await startCommitting()
    const raising = deferred()
    made.checkpoint.before = () => raising.promise
    made.checkpointer.take(4 * 1024 * 1024)
    let isAnswered = false
    const committing = made.commits.commit([planOf('a', written('k'))]).then(() => (isAnswered = true))
    await new Promise((resolve) => setImmediate(resolve))
    expect([isAnswered, frames(made)]).toEqual([false, []])
    raising.resolve()
    await committing
    expect(made.checkpoint.state.ceiling).toBeGreaterThan(made.checkpointer.revision)
  })
})

describe('failures', () => {
  test('I8: after a failed sync nothing is appended any more: unknown with revisions, then unchanged', async () => {
    const made = await startCommitting()
    await made.commits.commit([planOf('before', written('k'))])
    made.fs.fails = (call) => (call === 'datasync' ? 'EIO' : null)
    const [first, second] = await Promise.all([
      made.commits.commit([planOf('a', written('k')), planOf('b', written('k'), written('l'))]),
      made.commits.commit([planOf('c', written('k'))]),
    ])
    expect(first).toMatchObject([
      { status: 'unknown', revision: 3, cause: { code: 'EIO' } },
      { status: 'unknown', revision: 4 },
    ])
    expect(second).toMatchObject([
      { status: 'rejected', error: { code: 'STORE_FAILED', outcome: 'unchanged' } },
    ])
    made.fs.fails = () => null
    made.fs.calls.length = 0
    expect(await made.commits.commit([planOf('d', written('k'))])).toMatchObject([
      { status: 'rejected', error: { code: 'STORE_FAILED' } },
    ])
    expect(
      await made.commits.carry(
        () => new FrameEncoder(),
        () => {},
      ),
    ).toBe(false)
    expect([made.fs.calls, made.failures.length, made.backlog.count]).toEqual([[], 1, 1])
  })

  test('I8: what was being synced when the root was found to be lost may be lost with it: unknown', async () => {
    const made = await startCommitting()
    const syncing = deferred()
    made.fs.delay = (call) => (call === 'datasync' ? syncing.promise : Promise.resolve())
    const committing = made.commits.commit([planOf('a', written('k'))])
    await new Promise((resolve) => setImmediate(resolve))
    const lost = new Error('the root was deleted')
    made.commits.fail(lost)
    syncing.resolve()
    expect(await committing).toMatchObject([{ status: 'unknown', revision: 2 }])
    expect([made.failures, made.backlog.count]).toEqual([[lost], 0])
  })

  test('I8: where the checkpoint fails nothing was appended: unchanged', async () => {
    const made = await startCommitting()
    made.checkpoint.before = () => Promise.reject(new Error('EIO'))
    made.checkpointer.take(4 * 1024 * 1024)
    const outcomes = await made.commits.commit([planOf('a', written('k'))])
    expect(outcomes).toMatchObject([{ status: 'rejected', error: { code: 'STORE_FAILED' } }])
    expect(frames(made)).toEqual([])
    expect(made.failures).toMatchObject([{ message: 'EIO' }])
  })

  test('records of somebody else that can not be encoded fail him, and no commit after him', async () => {
    const made = await startCommitting()
    const broken = (): FrameEncoder => {
      throw new RangeError('too large')
    }
    expect(await failureOf(() => made.commits.carry(broken, () => {}))).toBeInstanceOf(RangeError)
    expect(await made.commits.commit([planOf('a', written('k'))])).toMatchObject([{ status: 'committed' }])
    await made.commits.settled()
  })

  test('a namespace with stuck keys is refused once there are too many in the store, and no other', async () => {
    const made = await startCommitting(2)
    const failure = { index: 0, code: 'EACCES', message: 'no permission' }
    await made.commits.commit([planOf('a', written('k'), written('l')), planOf('b', written('k'))])
    const namespace = made.backlog.get('a')!
    const [first, second] = [...namespace.entries.values()]
    made.backlog.failed(namespace, first!, failure)
    expect(await made.commits.commit([planOf('a', written('x'))])).toMatchObject([{ status: 'committed' }])
    made.backlog.failed(namespace, second!, failure)
    const outcomes = await made.commits.commit([planOf('a', written('x')), planOf('b', written('x'))])
    expect(outcomes).toMatchObject([
      {
        status: 'rejected',
        error: { code: 'TREE_STUCK', namespace: 'a', outcome: 'unchanged' },
        deletesOnly: true,
      },
      { status: 'committed' },
    ])
    const removal = { kind: 'delete', key: 'k' } as const
    expect(await made.commits.commit([planOf('a', removal)])).toMatchObject([{ status: 'committed' }])
  })
})

describe('a full disk', () => {
  test('plans with writes are rejected, saying that deletions would be taken; those get through', async () => {
    const made = await startCommitting()
    await fillDisk(made)
    const removal = { kind: 'delete', key: 'k' } as const
    const large = written('k', new Uint8Array(100_000))
    const outcomes = await made.commits.commit([
      planOf('a', large),
      planOf('b', removal),
      planOf('c', removal, large),
      planOf('d', 'create'),
      planOf('filling', 'remove'),
    ])
    const rejected = { status: 'rejected', error: { code: 'NO_SPACE', retryable: true }, deletesOnly: true }
    expect(outcomes).toMatchObject([
      rejected,
      { status: 'committed' },
      rejected,
      rejected,
      { status: 'committed' },
    ])
    expect(made.noRoom).toBe(1)
    expect(
      frames(made)
        .at(-1)!
        .map(({ namespace, body }) => [namespace, body.kind]),
    ).toEqual([
      ['b', 'delete'],
      ['filling', 'remove'],
    ])
    expect(made.backlog.find('b', 'k')).toMatchObject({ kind: 'delete' })
    expect(made.backlog.get('c')).toBeUndefined()
  })

  test('deletions are rejected only where the room kept for them is used up', async () => {
    const made = await startCommitting()
    await fillDisk(made)
    const removal = planOf('a', { kind: 'delete', key: 'k' })
    let count = 0
    for (; count < 100; count++) {
      const [outcome] = await made.commits.commit([removal])
      if (outcome!.status === 'committed') continue
      expect(outcome).toMatchObject({ status: 'rejected', error: { code: 'NO_SPACE' } })
      expect(outcome).not.toHaveProperty('deletesOnly')
      break
    }
    expect(count).toBe(17)
    expect(made.failures).toEqual([])
  })

  test('when there is room again, writes go on', async () => {
    const made = await startCommitting()
    await fillDisk(made)
    const large = planOf('a', written('k', new Uint8Array(100_000)))
    expect(await made.commits.commit([large])).toMatchObject([{ status: 'rejected' }])
    made.disk = null
    clock.nowMs += 100
    expect(await made.commits.commit([large])).toMatchObject([{ status: 'committed' }])
  })
})

describe('frames that are no commits', () => {
  test('what is carried is asked for when it is its turn, so that a commit before it is known', async () => {
    const made = await startCommitting()
    const seen: number[] = []
    const committing = made.commits.commit([planOf('a', written('k'))])
    const carrying = made.commits.carry(
      () => {
        seen.push(made.backlog.count)
        const encoder = new FrameEncoder()
        encoder.addRecord(write('carried', 'v', 1))
        return encoder
      },
      ({ offset }) => seen.push(offset),
    )
    await committing
    expect(await carrying).toBe(true)
    expect(seen).toEqual([1, 4096])
  })
})

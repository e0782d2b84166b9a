import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Checkpointer, type JournalExtent } from '../../../src/backend/file/checkpointer.js'
import type { JournalPosition } from '../../../src/backend/file/tasks.js'
import { deferred, failureOf } from '../../../src/contract/observe.js'
import { WrittenCheckpoint } from './committing.js'
import { START } from './journal-builder.js'

const BLOCK = 4 * 1024 * 1024
const LATER = { ...START, segment: 2, sequence: 9 }

/** A journal that is needed from a position on, and goes a little further. */
function from(position: JournalPosition): JournalExtent {
  return { oldestNeeded: position, end: { ...position, sequence: position.sequence + 5 } }
}

/** What a checkpoint says of it. */
function said(position: JournalPosition) {
  return { position, reached: position.sequence + 5 }
}

async function begun(state: ConstructorParameters<typeof WrittenCheckpoint>[0] = {}) {
  const file = new WrittenCheckpoint(state)
  const checkpointer = new Checkpointer(file.file)
  await checkpointer.begin(from(START))
  return { file, checkpointer }
}

describe('Checkpointer', () => {
  test('an opening begins above the ceiling, says durably that it is in use, and has a revision of its own', async () => {
    const { file, checkpointer } = await begun({ ceiling: 1000, clean: true })
    expect(file.written).toEqual([{ clean: false, epoch: 1001, ceiling: 1001 + BLOCK, ...said(START) }])
    expect([checkpointer.epoch, checkpointer.revision, checkpointer.take(1)]).toEqual([1001, 1001, 1002])
  })

  test('a clean end has the last revision for its ceiling, another one keeps the block', async () => {
    const clean = await begun()
    clean.checkpointer.take(10)
    await clean.checkpointer.end(from(LATER), true)
    expect(clean.file.state).toEqual({ clean: true, epoch: 1, ceiling: 11, ...said(LATER) })
    const unclean = await begun()
    unclean.checkpointer.take(10)
    await unclean.checkpointer.end(from(LATER), false)
    expect(unclean.file.state).toEqual({ clean: false, epoch: 1, ceiling: 1 + BLOCK, ...said(LATER) })
  })

  test('the ceiling is raised long before it is reached, once', async () => {
    const { file, checkpointer } = await begun()
    checkpointer.take(BLOCK / 2)
    expect(file.written.length).toBe(1)
    checkpointer.take(1)
    checkpointer.take(1)
    expect(checkpointer.ensureCeiling(checkpointer.revision)).toBeNull()
    await checkpointer.advance(from(LATER))
    expect(file.written.map(({ ceiling }) => ceiling)).toEqual([
      1 + BLOCK,
      2 + BLOCK + BLOCK / 2,
      2 + BLOCK + BLOCK / 2,
    ])
  })

  test('a revision above the durable ceiling is waited for', async () => {
    const { file, checkpointer } = await begun()
    const writing = deferred()
    file.before = () => writing.promise
    const first = checkpointer.take(3 * BLOCK)
    const raised = checkpointer.ensureCeiling(first + 3 * BLOCK - 1)
    expect(raised).not.toBeNull()
    const again = checkpointer.ensureCeiling(first + 3 * BLOCK - 1)
    writing.resolve()
    await Promise.all([raised, again])
    expect(file.state.ceiling).toBeGreaterThanOrEqual(checkpointer.revision)
    expect(checkpointer.ensureCeiling(checkpointer.revision)).toBeNull()
  })

  test('I8: a ceiling that could not be raised is no ceiling', async () => {
    const { file, checkpointer } = await begun()
    file.before = () => Promise.reject(new Error('EIO'))
    const revision = checkpointer.take(2 * BLOCK) + 2 * BLOCK - 1
    expect(await failureOf(() => checkpointer.ensureCeiling(revision))).toMatchObject({ message: 'EIO' })
    expect(await failureOf(() => checkpointer.ensureCeiling(revision))).toMatchObject({ message: 'EIO' })
  })

  test('changes that are written together keep each other: none takes an earlier one back', async () => {
    const { file, checkpointer } = await begun()
    const writes = [checkpointer.advance(from(LATER))]
    checkpointer.take(BLOCK)
    writes.push(checkpointer.advance(from({ ...LATER, sequence: 10 })))
    await Promise.all(writes)
    expect(file.state.position.sequence).toBe(10)
    expect(file.state.ceiling).toBe(1 + 2 * BLOCK)
    expect([checkpointer.position.sequence, checkpointer.reached]).toEqual([10, 15])
    expect(file.state.reached).toBe(15)
  })

  test('revisions are never given twice, whenever it is opened again', async () => {
    const steps = fc.array(
      fc.oneof(
        fc.record({ take: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constant(BLOCK)) }),
        fc.record({ reopen: fc.constantFrom('clean', 'unclean', 'killed') }),
      ),
    )
    await fc.assert(
      fc.asyncProperty(steps, async (sequence) => {
        const file = new WrittenCheckpoint()
        let checkpointer = new Checkpointer(file.file)
        await checkpointer.begin(from(START))
        let highest = checkpointer.epoch
        for (const step of sequence) {
          if ('take' in step) {
            const first = checkpointer.take(step.take)
            expect(first).toBeGreaterThan(highest)
            highest = first + step.take - 1
            // What a commit does before it is written anywhere.
            await checkpointer.ensureCeiling(highest)
          } else {
            if (step.reopen !== 'killed') await checkpointer.end(from(START), step.reopen === 'clean')
            checkpointer = new Checkpointer(file.file)
            await checkpointer.begin(from(START))
            expect(checkpointer.epoch).toBeGreaterThan(highest)
            highest = checkpointer.epoch
          }
        }
      }),
      { numRuns: 50 },
    )
  })
})

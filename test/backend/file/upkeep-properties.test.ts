/**
 * Whatever was committed, brought into the tree, found stuck, carried and given back, in whatever order: what the checkpoint says
 * is needed of the journal brings the tree to the last state of everything (I1, I6), and the journal stays small (I9).
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Backlog, type NamespaceBacklog } from '../../../src/backend/file/backlog.js'
import { Carrier } from '../../../src/backend/file/carrier.js'
import { Segment } from '../../../src/backend/file/journal.js'
import { SEGMENT_BYTES } from '../../../src/backend/file/segment.js'
import { Upkeep } from '../../../src/backend/file/upkeep.js'
import { framesOf, planOf, startCommitting, written, type Committing } from './committing.js'
import { START } from './journal-builder.js'

/** Of the namespaces that exist: the revision of every key. */
type State = Map<string, Map<string, number>>

const NAMESPACES = ['n', 'm']
const KEYS = ['a', 'b']
const FAILURE = { index: 0, code: 'EACCES', message: 'no permission' }
/** Of a segment it leaves room for one small frame. */
const FILLING = new Uint8Array(SEGMENT_BYTES - 2 * 4096)

type Step = { readonly do: string; readonly namespace: string; readonly key: string }

const steps = fc.array(
  fc.record({
    do: fc.constantFrom(
      ...[
        'write',
        'write',
        'write',
        'delete',
        'remove',
        'remove',
        'create',
        'create',
        'remake',
        'roll',
        'roll',
      ],
      ...['done', 'done one', 'stuck', 'done filler', 'idle'],
    ),
    namespace: fc.constantFrom(...NAMESPACES),
    key: fc.constantFrom(...KEYS),
  }),
  { minLength: 15, maxLength: 40 },
)

/** The state that its operations lead to. */
function apply(state: State, { name, change, entries }: NamespaceBacklog): void {
  if (change !== null && change.change !== 'create') state.delete(name)
  if (change !== null && change.change !== 'remove') state.set(name, state.get(name) ?? new Map())
  for (const { kind, key, revision } of entries.values()) {
    if (kind === 'write') state.get(name)!.set(key, revision)
    else state.get(name)?.delete(key)
  }
}

/** What an opening finds that begins where the checkpoint says, as the scan gives it: in the order of the frames. */
function recovered({ fs, checkpoint }: Committing): Backlog {
  const frames = [...fs.files.values()].flatMap((file) => framesOf(file, 0))
  const found = new Backlog(() => 0)
  const anywhere = new Segment(0, '', 0, START, 0)
  const { position } = checkpoint.state
  for (const { sequence, records } of frames.toSorted((a, b) => a.sequence - b.sequence)) {
    if (sequence < position.sequence) continue
    for (const record of records) found.addRecovered(record, () => anywhere)
  }
  return found
}

async function run(each: readonly Step[]): Promise<void> {
  const made = await startCommitting(1000, 2)
  const { fs, journal, backlog, checkpointer, commits } = made
  const onFailure = (cause: unknown): void => void made.failures.push(cause)
  const carrier = new Carrier({ fs, backlog, commits })
  const upkeep = new Upkeep({ journal, backlog, checkpointer, commits, carrier, onFailure })
  const expected: State = new Map()
  const tree: State = new Map()
  const commit = async (...plan: Parameters<typeof planOf>): Promise<number> => {
    const [outcome] = await commits.commit([planOf(...plan)])
    if (outcome?.status !== 'committed') throw new Error('not committed')
    upkeep.appended()
    return outcome.revision
  }
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  const doneAll = (name: string): void => {
    const found = backlog.get(name)
    if (found === undefined) return
    apply(tree, found)
    for (const pending of [...found.entries.values()]) backlog.done(found, pending)
    if (found.change !== null) backlog.doneNamespace(found, found.change)
    upkeep.progressed()
  }
  const act: Record<string, (namespace: string, key: string) => unknown> = {
    write: async (name, key) => expected.get(name)?.set(key, await commit(name, written(key))),
    delete: async (name, key) => {
      if (expected.get(name)?.delete(key) === true) await commit(name, { kind: 'delete', key })
    },
    remove: async (name) => {
      if (expected.delete(name)) await commit(name, 'remove')
    },
    create: async (name) => {
      if (expected.has(name)) return
      expected.set(name, new Map())
      await commit(name, 'create')
    },
    remake: async (name) => {
      if (!expected.has(name)) return
      expected.set(name, new Map())
      await commit(name, 'remove', 'create')
    },
    roll: async () => {
      if (!expected.has('filler')) await commit('filler', 'create')
      expected.set('filler', new Map([['k', await commit('filler', written('k', FILLING))]]))
    },
    done: (name) => doneAll(name),
    'done one': (name) => {
      const found = backlog.get(name)
      const [first] = found?.entries.values() ?? []
      if (found === undefined || first === undefined || found.change !== null) return
      if (first.kind === 'write') tree.get(name)!.set(first.key, first.revision)
      else tree.get(name)?.delete(first.key)
      backlog.done(found, first)
      upkeep.progressed()
    },
    stuck: (name) => {
      const found = backlog.get(name)
      for (const pending of [...(found?.entries.values() ?? [])]) backlog.failed(found!, pending, FAILURE)
      if (found !== undefined && found.change !== null) backlog.failed(found, found.change, FAILURE)
      upkeep.progressed()
    },
    'done filler': () => doneAll('filler'),
    idle: () => checkpointer.advance(journal),
  }
  for (const namespace of NAMESPACES) {
    await act['create']!(namespace, '')
    doneAll(namespace)
  }
  for (const step of each) {
    // What exists in the model only once it is committed is not written to before.
    if (step.do === 'write' && !expected.has(step.namespace)) continue
    await act[step.do]!(step.namespace, step.key)
    await settle()
    const after: State = new Map([...tree].map(([name, keys]) => [name, new Map(keys)]))
    for (const namespace of recovered(made)) apply(after, namespace)
    expect(after).toEqual(expected)
  }
  expect(made.failures).toEqual([])
  expect(fs.files.size).toBeLessThanOrEqual(12)
  await upkeep.stop()
}

test('what is given back of the journal is not needed, whatever comes when', async () => {
  await fc.assert(fc.asyncProperty(steps, run), { numRuns: 60 })
})

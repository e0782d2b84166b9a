/** What the stores of these tests hold: in the tree, and in the journal alone. */
import type { Session, Store } from '../../../src/api.js'
import { encodeHeader, FRAME_ALIGNMENT } from '../../../src/backend/file/frame.js'

async function writerOf(store: Store, namespace: string, writerId: string): Promise<Session> {
  return store.init(namespace, { writer: { writerId } })
}

/** Changed by nobody later, changed, deleted, removed as a whole. */
export async function writeEarly(store: Store): Promise<void> {
  const planner = await writerOf(store, 'agent', 'planner')
  await planner.write('kept', 'was there before')
  await planner.write('plan', 'first draft')
  await planner.write('gone', 'soon')
  await planner.write('notes/gone/too', 'soon')
  const other = await writerOf(store, 'other', 'critic')
  await other.write('kept', 'of another agent')
  await (await writerOf(store, 'removed', 'critic')).write('k', 'v')
}

/** Every kind of record, in frames of several sizes, and values that look like frames. */
export async function writeLate(store: Store): Promise<void> {
  const planner = await writerOf(store, 'agent', 'planner')
  await planner.write('plan', 'second draft')
  await planner.write('large', 'a value of many blocks '.repeat(2000))
  await planner.write('image', frameImages(20))
  await planner.delete('gone')
  await planner.batch([
    { delete: 'notes/gone/too' },
    { write: 'notes/one', value: '1' },
    { write: 'notes/two', value: '2' },
  ])
  await store.remove('removed')
  const made = await writerOf(store, 'made', 'critic')
  await made.write('deep/er/key', 'of a new namespace')
  await planner.write('last', 'the last word')
}

/** So much that the journal goes on in a second segment, with several frames in each. */
export async function writeMuch(store: Store): Promise<void> {
  const planner = await writerOf(store, 'agent', 'planner')
  for (let part = 0; part < 9; part++) {
    await planner.write(`part-${part % 7}`, `part ${part} `.repeat(70_000))
  }
}

/** Bytes that would be taken for frames by who trusted a magic number and a checksum. */
function frameImages(count: number): Buffer {
  const bytes = Buffer.alloc(count * FRAME_ALIGNMENT, 'no part of it is empty ')
  for (let index = 0; index < count; index++) {
    const place = {
      storeId: Buffer.alloc(16, 7),
      sequence: 1_000_000 + index,
      segment: 1,
      offset: index * FRAME_ALIGNMENT,
      previousCrc: 0,
    }
    encodeHeader(bytes.subarray(index * FRAME_ALIGNMENT), place, { bodyBytes: 0, bodyCrc: 0, recordCount: 0 })
  }
  return bytes
}

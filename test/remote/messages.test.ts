import { MessageChannel, receiveMessageOnPort, type MessagePort } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import type { Store } from '../../src/api.js'
import { connectStore } from '../../src/remote/connect.js'
import { ANSWER, LARGE_BYTES } from '../../src/remote/wire.js'
import { hosted } from './hosted.js'

type Batch = readonly [list: unknown[], packed: Uint8Array | null, large: ArrayBuffer[], ports: unknown[]]

/** A connection whose messages can be looked at on their way: the batches in either direction. */
async function observed(store: Store): Promise<{ connected: Store; asked: Batch[]; delivered: Batch[] }> {
  const { port1, port2 } = new MessageChannel()
  const given = store.createPort()
  port1.postMessage(receiveMessageOnPort(given)?.message)
  const asked: Batch[] = []
  const delivered: Batch[] = []
  pass(given, port1, delivered)
  pass(port1, given, asked)
  const connected = await connectStore(port2)
  return { connected, asked, delivered }
}

function pass(from: MessagePort, to: MessagePort, batches: Batch[]): void {
  from.on('message', (message: { type: string; argumentList?: readonly { value: Batch }[] }) => {
    if (message.type === 'APPLY') batches.push(structuredClone(message.argumentList![0]!.value))
    to.postMessage(message)
  })
  from.on('close', () => to.close())
}

describe('what crosses between threads', () => {
  test('is one message for all calls of a turn, and one for all answers of a turn', async () => {
    const { backend, store } = await hosted()
    const { connected, asked, delivered } = await observed(store)
    const session = await connected.init('n')
    await session.write('read', 'r')
    backend.holds = true
    const before = { asked: asked.length, delivered: delivered.length, commits: backend.commits }
    const writes = Array.from({ length: 500 }, (_, index) => session.write(`k${index}`, `${index}`))
    const commit = await backend.nextCommit()
    expect(asked.length - before.asked).toBe(1)
    expect(asked.at(-1)![0].filter((value) => value === 'n').length).toBe(500)
    await commit.proceed()
    backend.holds = false
    while (backend.arrivedCount > 0) await (await backend.nextCommit()).proceed()
    await Promise.all(writes)
    // One message for the answers of each commit, however many there are.
    const commits = backend.commits - before.commits
    expect(commits).toBeLessThanOrEqual(2)
    expect(delivered.length - before.delivered).toBe(commits)
    const answers = delivered.slice(before.delivered).flatMap(([list]) => list)
    expect(answers.filter((_, index) => index % 3 === 0).every((kind) => kind === ANSWER.WRITTEN)).toBe(true)
    expect(answers.length).toBe(500 * 3)

    const reads = { asked: asked.length, delivered: delivered.length }
    await Promise.all(Array.from({ length: 500 }, () => session.read('read')))
    expect([asked.length - reads.asked, delivered.length - reads.delivered]).toEqual([1, 1])
  })

  test('carries values as the bytes that are stored, small ones in one buffer, large ones each in its own', async () => {
    const { store } = await hosted()
    const { connected, asked, delivered } = await observed(store)
    const session = await connected.init('n')
    const before = asked.length
    const large = 'ü'.repeat(LARGE_BYTES)
    await Promise.all([
      session.write('text', 'grün'),
      session.write('bytes', Uint8Array.of(0, 255)),
      session.write('large', large),
      session.writeJson('json', { a: 1 }),
    ])
    const [list, packed, buffers] = asked[before]!
    expect(asked.length).toBe(before + 1)
    expect(Buffer.from(packed!)).toEqual(
      Buffer.concat([Buffer.from('grün'), Buffer.of(0, 255), Buffer.from('{\n  "a": 1\n}\n')]),
    )
    expect(buffers.map((buffer) => Buffer.from(buffer).equals(Buffer.from(large)))).toEqual([true])
    expect(list.filter((value) => value === 'grün' || value === large)).toEqual([])

    const answered = delivered.length
    const found = await Promise.all(['text', 'large'].map((key) => session.read(key)))
    expect(found).toEqual(['grün', large])
    const answers = delivered.slice(answered)
    expect(answers.map(([, small]) => small?.byteLength ?? 0).reduce((a, b) => a + b)).toBe(5)
    expect(answers.flatMap(([, , own]) => own).map(({ byteLength }) => byteLength)).toEqual([LARGE_BYTES * 2])
  })

  test('is nothing where nobody asks: for a session with other defaults, for events that nobody listens to', async () => {
    const { store } = await hosted()
    const { connected, asked, delivered } = await observed(store)
    const session = await connected.init('n')
    const before = [asked.length, delivered.length]
    const other = session.with({ writer: { writerId: 'w' } })
    const local = await store.resume('n')
    for (let index = 0; index < 20; index++) await local.write('k', '')
    expect(other.writer).toEqual({ writerId: 'w' })
    expect([asked.length, delivered.length]).toEqual(before)
  })

  test('is the bytes of the moment of the call, also where the caller shares them with another thread', async () => {
    const { store } = await hosted()
    const { connected } = await observed(store)
    const session = await connected.init('n')
    const shared = new Uint8Array(new SharedArrayBuffer(4)).fill(1)
    const own = new Uint8Array(LARGE_BYTES).fill(1)
    const writes = [session.write('shared', shared), session.write('own', own)]
    shared.fill(2)
    own.fill(2)
    await Promise.all(writes)
    expect([...(await session.readBytes('shared'))!]).toEqual([1, 1, 1, 1])
    expect((await session.readBytes('own'))!.every((byte) => byte === 1)).toBe(true)
    // Nothing was taken away from the caller.
    expect(own.byteLength).toBe(LARGE_BYTES)
    const found = (await session.readBytes('own'))!
    found.fill(3)
    expect((await (await store.resume('n')).readBytes('own'))!.every((byte) => byte === 1)).toBe(true)
  })
})

import { MessageChannel, receiveMessageOnPort, type MessagePort } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import type { Store } from '../../src/api.js'
import { connectStore } from '../../src/remote/connect.js'
import { ANSWER, LARGE_BYTES, NAMESPACE_SLOTS } from '../../src/remote/wire.js'
import { hosted } from './hosted.js'

type Batch = readonly [list: unknown[], packed: Uint8Array | null, large: ArrayBuffer[], ports: unknown[]]

interface Message {
  readonly type: string
  readonly argumentList?: readonly { value: Batch }[]
}

interface Observed {
  readonly connected: Store
  readonly asked: Batch[]
  readonly delivered: Batch[]
  /** How often something was posted to the store. */
  readonly posts: () => number
}

/** A connection whose messages can be looked at on their way: the batches in either direction. */
async function observed(store: Store): Promise<Observed> {
  const { port1, port2 } = new MessageChannel()
  const given = store.createPort()
  port1.postMessage(receiveMessageOnPort(given)?.message)
  const asked: Batch[] = []
  const delivered: Batch[] = []
  let posts = 0
  port1.on('message', () => posts++)
  pass(given, port1, delivered)
  pass(port1, given, asked)
  const connected = await connectStore(port2)
  return { connected, asked, delivered, posts: () => posts }
}

function pass(from: MessagePort, to: MessagePort, batches: Batch[]): void {
  from.on('message', (posted: Message | readonly Message[]) => {
    for (const { type, argumentList } of [posted].flat()) {
      if (type === 'APPLY') batches.push(structuredClone(argumentList![0]!.value))
    }
    to.postMessage(posted)
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
    const texts = asked.at(-1)![0].filter((value) => typeof value === 'string')
    expect(texts).toEqual(Array.from({ length: 500 }, (_, index) => `k${index}`))
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

  test('is what was said before, that a batch was taken, in the same message as the next batch', async () => {
    const { store } = await hosted()
    const { connected, asked, posts } = await observed(store)
    const session = await connected.init('n')
    const before = { asked: asked.length, posts: posts() }
    for (let index = 0; index < 20; index++) await session.write('k', `${index}`)
    expect([asked.length - before.asked, posts() - before.posts]).toEqual([20, 20])
  })

  test('names a namespace once, however many there are', async () => {
    const { store } = await hosted()
    const { connected, asked } = await observed(store)
    const names = Array.from({ length: NAMESPACE_SLOTS + 2 }, (_, index) => `n${index}`)
    const sessions = await Promise.all(names.map((name) => connected.init(name)))
    const said = (): number => asked.flatMap(([list]) => list).filter((value) => value === 'n0').length
    const before = said()
    for (const round of ['1', '2']) {
      await Promise.all(sessions.map((session) => session.write('k', `${session.namespace} ${round}`)))
    }
    // There are two more than there are numbers: whoever gave his number away is named anew.
    expect(said() - before).toBe(2)
    const local = await Promise.all(names.map(async (name) => (await store.resume(name)).read('k')))
    expect(local).toEqual(names.map((name) => `${name} 2`))
    const [last] = sessions.slice(-1)
    const told = asked.length
    for (let index = 0; index < 3; index++) await last!.write('k', `${index}`)
    expect(asked.slice(told).flatMap(([list]) => list)).not.toContain(last!.namespace)
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

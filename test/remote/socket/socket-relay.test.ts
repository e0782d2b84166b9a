/** What whoever has a port may do to the others whose ports travel through the same socket: nothing. */
import { once } from 'node:events'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Store } from '../../../src/api.js'
import { memoryBackend } from '../../../src/backend/memory.js'
import { connectStore } from '../../../src/remote/connect.js'
import { CALL } from '../../../src/remote/wire.js'
import { until } from '../hosted.js'
import { RawPort } from '../raw-port.js'
import { hostRoot, type HostedRoot } from './hosted-root.js'

const MIB = 1024 * 1024

interface Given {
  readonly hosted: HostedRoot
  readonly store: Store
  /** In the hands of somebody who says what he likes. */
  readonly raw: RawPort
  /** All others go on as before, and new ones are taken. */
  expectUnharmed(): Promise<void>
}

async function given(limits = {}): Promise<Given> {
  const hosted = await hostRoot(memoryBackend(), limits)
  onTestFinished(() => hosted.close())
  const store = await connectStore({ root: hosted.root })
  const sibling = await connectStore(store.createPort())
  const session = await sibling.init('n')
  const raw = new RawPort(store.createPort())
  await until(() => hosted.ports.counts.connections === 3)
  const expectUnharmed = async (): Promise<void> => {
    await session.write('k', 'of a sibling')
    await until(() => hosted.ports.counts.connections === 2)
    const next = await connectStore(store.createPort())
    expect(await (await next.resume('n')).read('k')).toBe('of a sibling')
    await next.close()
    await store.close()
  }
  return { hosted, store, raw, expectUnharmed }
}

function pair(): { given: MessagePort; kept: MessagePort; closed: Promise<unknown> } {
  const { port1, port2 } = new MessageChannel()
  return { given: port1, kept: port2, closed: once(port2, 'close') }
}

describe('a port that another process has made for somebody', () => {
  test.each([
    ['numbers in a typed array', new Float64Array(1)],
    ['a view', new DataView(new ArrayBuffer(8))],
    ['shared memory', new SharedArrayBuffer(8)],
    ['shared numbers', { list: [{ deep: new Int32Array(new SharedArrayBuffer(8)) }] }],
  ])('is closed, and no other, when it says what does not travel: %s', async (_, value) => {
    const { raw, expectUnharmed } = await given()
    raw.say(value)
    await raw.closed
    await expectUnharmed()
  })

  test('is closed with the ports that it sent in such a message, and nothing of what it said behind it is heard', async () => {
    const { hosted, raw, expectUnharmed } = await given()
    const ports = [pair(), pair(), pair()]
    raw.say(
      [ports[0]!.given, ports[1]!.given, new Float64Array(1), ports[2]!.given],
      ports.map((each) => each.given),
    )
    void raw.calls([CALL.REMOVE, 1, 'n'])
    await Promise.all([raw.closed, ports[0]!.closed, ports[1]!.closed])
    await expectUnharmed()
    expect(hosted.failures).toEqual([])
    ports[2]!.kept.close()
  })

  test('I9: is closed, and no other, when it sends more ports than are taken', async () => {
    const { raw, expectUnharmed } = await given()
    const ports = Array.from({ length: 10_000 }, () => new MessageChannel())
    const sent = ports.map(({ port1 }) => port1)
    raw.say(sent, sent)
    await raw.closed
    await expectUnharmed()
    for (const { port2 } of ports) port2.close()
  })

  test('I9: is closed, and no other, when it says more at once than the owner takes', async () => {
    const { raw, expectUnharmed } = await given({
      valueBytesMax: 100,
      queueBytesMax: 100,
      connectionBytesMax: 100,
      queueOperationsMax: 1,
      connectionOperationsMax: 1,
    })
    const bytes = new Uint8Array(65 * MIB)
    raw.say(bytes, [bytes.buffer])
    await raw.closed
    await expectUnharmed()
  })
})

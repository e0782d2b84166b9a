/** Somebody of the same user who says anything at all to an owner's socket. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { mkdirSync } from 'node:fs'
import { serialize } from 'node:v8'
import { describe, expect, onTestFinished, test } from 'vitest'
import { memoryBackend } from '../../../src/backend/memory.js'
import { nextTurn, refusal } from '../../../src/contract/observe.js'
import { connectStore } from '../../../src/remote/connect.js'
import { encodeFrame, makePreamble } from '../../../src/remote/socket/socket-frames.js'
import { CALL } from '../../../src/remote/wire.js'
import { temporaryDirectory } from '../../damage/support/temporary-directory.js'
import { Random } from '../../durability/support/random.js'
import { hostRoot, type HostedRoot } from './hosted-root.js'

const MIB = 1024 * 1024

async function host(limits = {}): Promise<HostedRoot> {
  const hosted = await hostRoot(memoryBackend(), limits)
  onTestFinished(() => hosted.close())
  return hosted
}

interface Raw {
  readonly socket: Socket
  readonly closed: Promise<void>
  /** What has come. */
  received(): Buffer
}

async function rawConnection(root: string, reads = true): Promise<Raw> {
  const socket = connect(`${root}/.agent_state/socket`)
  const chunks: Buffer[] = []
  socket.on('error', () => {})
  if (reads) socket.on('data', (chunk) => chunks.push(chunk))
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  return { socket, closed, received: () => Buffer.concat(chunks) }
}

function header(length: number, channel: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt32LE(length, 0)
  bytes.writeUInt32LE(channel, 4)
  return bytes
}

const noPorts = (): never => {
  throw new Error('no port is sent')
}

/** A call as the library makes it. */
function call(id: string, list: readonly unknown[]): Buffer {
  const argumentList = [{ type: 'RAW', value: [list, null, [], []] }]
  return encodeFrame(0, { id, type: 'APPLY', path: ['calls'], argumentList }, noPorts)
}

/** Others are served, and nothing is left of those who are gone. */
async function expectUnharmed({ root, store, ports }: HostedRoot): Promise<void> {
  const connected = await connectStore({ root })
  const session = await connected.init('unharmed')
  await session.write('k', 'v')
  expect(await (await store.resume('unharmed')).read('k')).toBe('v')
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
  await connected.close()
  while (ports.counts.connections > 0) await nextTurn()
}

describe('I9: an owner', () => {
  const random = new Random(1)
  const wrong: readonly (readonly [string, Buffer])[] = [
    ['something else than the preamble', Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
    ['random bytes', randomBytes(5000)],
    ['a frame of 4 GiB', Buffer.concat([makePreamble(), header(2 ** 32 - 1, 0), Buffer.alloc(1000)])],
    ['a channel that there is none of', Buffer.concat([makePreamble(), header(2, 8), Buffer.from('xx')])],
    ['content that V8 does not read', Buffer.concat([makePreamble(), header(3, 0), Buffer.from('xyz')])],
    [
      'content of another version of V8',
      Buffer.concat([makePreamble(), header(3, 0), Buffer.from([255, 99, 48])]),
    ],
    ['an object of its own', Buffer.concat([makePreamble(), header(5, 0), Buffer.from([255, 15, 92, 7, 7])])],
    [
      'a port of the number of the connection',
      Buffer.concat([makePreamble(), header(5, 0), Buffer.from([255, 15, 92, 1, 0])]),
    ],
    [
      'a port whose number is not its to give',
      Buffer.concat([makePreamble(), header(5, 0), Buffer.from([255, 15, 92, 1, 2])]),
    ],
    [
      'more ports than can be meant',
      Buffer.concat([makePreamble(), ...Array.from({ length: 11_000 }, (_, index) => portsMessage(index))]),
    ],
  ]

  test.each(wrong)('ends a connection that says %s, and no other', async (_, bytes) => {
    const hosted = await host()
    const { socket, closed } = await rawConnection(hosted.root)
    socket.write(bytes)
    await closed
    await expectUnharmed(hosted)
  })

  test('survives messages in which any byte is another one', async () => {
    const hosted = await host()
    await hosted.store.init('n')
    const good = Buffer.concat([
      call('1', [
        CALL.READ,
        1,
        'n',
        'k',
        CALL.TERMS,
        0,
        'w',
        undefined,
        undefined,
        undefined,
        'warn',
        'lost-update',
        'journal',
        false,
      ]),
      call('2', [
        CALL.CHANGE,
        2,
        'n',
        0,
        true,
        1,
        false,
        'k',
        0,
        undefined,
        undefined,
        CALL.WATCH,
        3,
        'n',
        undefined,
        undefined,
        true,
      ]),
    ])
    for (let round = 0; round < 300; round++) {
      const { socket, closed } = await rawConnection(hosted.root)
      const bytes = Buffer.from(good)
      for (let count = 1 + random.below(4); count > 0; count--) {
        bytes[random.below(bytes.length)] = random.below(256)
      }
      socket.write(Buffer.concat([makePreamble(), bytes]))
      socket.end()
      await closed
    }
    await expectUnharmed(hosted)
  })

  test('takes names of properties as names and nothing more', async () => {
    const hosted = await host()
    const { socket, closed } = await rawConnection(hosted.root)
    const polluting = JSON.parse(
      '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}',
    ) as object
    for (const message of [
      polluting,
      { ...polluting, id: 'x', type: 'APPLY', path: ['__proto__', 'polluted'], argumentList: [] },
      { id: 'x', type: 'SET', path: ['__proto__', 'polluted'], value: { type: 'RAW', value: 1 } },
      { id: 'x', type: 'APPLY', path: ['constructor'], argumentList: [{ type: 'RAW', value: polluting }] },
      {
        id: 'x',
        type: 'APPLY',
        path: ['calls'],
        argumentList: [{ type: 'RAW', value: [[polluting], null, [], []] }],
      },
    ]) {
      const content = serialize(message)
      socket.write(
        Buffer.concat([
          message === polluting ? makePreamble() : Buffer.alloc(0),
          header(content.length, 0),
          content,
        ]),
      )
    }
    socket.end()
    await closed
    await expectUnharmed(hosted)
  })

  test('keeps of a message that never ends what has come of it, and of a connection that says nothing its place', async () => {
    const hosted = await host()
    const silent = await rawConnection(hosted.root)
    const half = await rawConnection(hosted.root)
    half.socket.write(Buffer.concat([makePreamble(), header(50 * MIB, 0), Buffer.alloc(1000)]))
    const preamble = await rawConnection(hosted.root)
    preamble.socket.write(makePreamble().subarray(0, 7))
    const before = process.memoryUsage().rss
    const connected = await connectStore({ root: hosted.root })
    await (await connected.init('n')).write('k', 'v')
    expect(process.memoryUsage().rss - before).toBeLessThan(40 * MIB)
    await connected.close()
    for (const { socket, closed } of [silent, half, preamble]) {
      socket.destroy()
      await closed
    }
    await expectUnharmed(hosted)
  })

  test('does not listen to who asks and does not read the answers', async () => {
    const hosted = await host()
    const deaf = await rawConnection(hosted.root, false)
    deaf.socket.write(makePreamble())
    // What needs no credits, and yet an answer each: that it was taken.
    const idle = call('x'.repeat(200), [CALL.ABORT, 1])
    let sent = 0
    let isStuck = false
    deaf.socket.on('drain', () => (isStuck = false))
    const others = await connectStore({ root: hosted.root })
    const session = await others.init('n')
    for (let quiet = 0; quiet < 300 && sent < 64 * MIB;) {
      while (!isStuck && sent < 64 * MIB) {
        isStuck = !deaf.socket.write(idle)
        sent += idle.length
      }
      quiet++
      // A round trip that the owner has time for everything in.
      await session.write('k', `${quiet}`)
      if (!isStuck) quiet = 0
    }
    expect(deaf.socket.writableLength).toBeGreaterThan(0)
    // Both kernel buffers and the bounds of both sides, and far less than what could have been said.
    expect(sent).toBeLessThan(64 * MIB)
    // When it reads, it is heard again, and answered to the last.
    const chunks: number[] = []
    deaf.socket.on('data', (chunk) => chunks.push(chunk.length))
    await new Promise<void>((resolve) => deaf.socket.write(call('last', [CALL.HELLO, 7]), () => resolve()))
    deaf.socket.destroy()
    await others.close()
    await expectUnharmed(hosted)
  })

  test('keeps no more for who does not read than its credits allow', async () => {
    const hosted = await host({ connectionBytesMax: MIB })
    const session = await hosted.store.init('n')
    await session.write('k', 'x'.repeat(60_000))
    const deaf = await rawConnection(hosted.root, false)
    deaf.socket.write(makePreamble())
    const before = process.memoryUsage().arrayBuffers
    for (let id = 1; id <= 1000; id++) deaf.socket.write(call(`${id}`, [CALL.READ, id, 'n', 'k']))
    const others = await connectStore({ root: hosted.root })
    const other = await others.resume('n')
    for (let round = 0; round < 300; round++) await other.read('k')
    // All answers would be 60 MB; what the other reader has dropped may not be collected yet.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(40 * MIB)
    deaf.socket.destroy()
    await others.close()
    await expectUnharmed(hosted)
  })
})

function portsMessage(index: number): Buffer {
  const content = Buffer.from([255, 15, 92, 1, ...varint(2 * index + 1)])
  return Buffer.concat([header(content.length, 0), content])
}

function varint(value: number): number[] {
  const bytes: number[] = []
  for (let left = value; ; left >>>= 7) {
    if (left < 128) return [...bytes, left]
    bytes.push((left & 127) | 128)
  }
}

describe('whoever connects', () => {
  async function fakeOwner(answer: (socket: Socket) => void): Promise<string> {
    const root = temporaryDirectory()
    mkdirSync(`${root}/.agent_state`)
    const server = createServer((socket) => {
      socket.on('error', () => {})
      onTestFinished(() => void socket.destroy())
      answer(socket)
    })
    server.listen(`${root}/.agent_state/socket`)
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    return root
  }

  test('learns that the owner runs another version, and which', async () => {
    const preamble = makePreamble()
    preamble.writeUInt16LE(7, preamble.length - 4)
    const root = await fakeOwner((socket) => socket.write(preamble))
    const { found, supported, message } = await refusal('PROTOCOL_MISMATCH', () => connectStore({ root }))
    expect(found).not.toBe(supported)
    expect(message).toContain('another version')
  })

  test('and the owner tells it so, and lets it go', async () => {
    const hosted = await host()
    const preamble = makePreamble()
    preamble.writeUInt16LE(7, preamble.length - 4)
    const { socket, closed, received } = await rawConnection(hosted.root)
    socket.write(preamble)
    await closed
    expect(received()).toEqual(makePreamble())
    await expectUnharmed(hosted)
  })

  test.each([
    ['nothing, and goes', (socket: Socket) => socket.destroy()],
    ['what is no preamble', (socket: Socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['a preamble, and goes', (socket: Socket) => socket.end(makePreamble())],
    [
      'nonsense behind the preamble',
      (socket: Socket) => socket.write(Buffer.concat([makePreamble(), header(3, 0), Buffer.from('xyz')])),
    ],
  ])('learns that it is not connected where the owner says %s', async (_, answer) => {
    const root = await fakeOwner((socket) => void answer(socket))
    await refusal('DISCONNECTED', () => connectStore({ root }))
  })

  test('is told what is no greeting', async () => {
    const root = await fakeOwner((socket) => {
      socket.write(Buffer.concat([makePreamble(), encodeFrame(0, { hello: 1 }, noPorts)]))
    })
    await expect(connectStore({ root })).rejects.toBeInstanceOf(TypeError)
  })

  test('can give up waiting for an owner that says nothing', async () => {
    const controller = new AbortController()
    const root = await fakeOwner(() => controller.abort(new Error('given up')))
    await expect(connectStore({ root }, { signal: controller.signal })).rejects.toThrow('given up')
  })
})

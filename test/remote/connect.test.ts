import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import type { Defaults } from '../../src/api.js'
import { failureOf, misuse, nextTurn, refusal } from '../../src/contract/observe.js'
import { connectStore } from '../../src/remote/connect.js'
import { makeGreeting, readGreeting } from '../../src/remote/greeting.js'
import { UNBOUNDED } from '../../src/remote/bounds.js'
import { DEFAULT_LIMITS } from '../../src/limits.js'
import { hosted, until } from './hosted.js'

describe('connectStore', () => {
  test('gives a store that answers as the one that made the port', async () => {
    const { store, connect } = await hosted()
    const local = await store.init('n', { writer: { writerId: 'here' } })
    await local.write('k', 'value')
    const connected = await connect()
    expect(connected.state).toBe('open')
    const session = await connected.resume('n', { writer: { writerId: 'there' } })
    expect(await session.read('k')).toBe('value')
    expect((await session.entry('k'))!).toEqual(await local.entry('k'))
    expect(await session.stat('k')).toEqual(await local.stat('k'))
  })

  test('takes defaults for its sessions, as openStore does', async () => {
    const { connect } = await hosted()
    const connected = await connect({}, { writer: { stageId: 'plan' }, conflictPolicy: 'error' })
    const session = await connected.init('n')
    expect(session.writer).toEqual({ writerId: 'plan', stageId: 'plan' })
    await session.with({ writer: { writerId: 'other' } }).write('k', '')
    await refusal('CONFLICT', () => session.write('k', ''))
  })

  test('names what is wrong with what it is given', async () => {
    const { store } = await hosted()
    for (const wrong of [
      undefined,
      null,
      {},
      'port',
      store,
      new MessageChannel(),
      { root: 7 },
      { root: '/tmp/x', port: 1 },
    ]) {
      expect(await misuse(() => connectStore(wrong as MessagePort))).toBeInstanceOf(TypeError)
    }
    const port = store.createPort()
    const misspelt = { conflictPolice: 'warn' } as Defaults
    expect((await misuse(() => connectStore(port, misspelt))).message).toContain('conflictPolicy')
    await (await connectStore(port)).close()
  })

  test('I11: fails, and does not wait, when there is no store on the other side', async () => {
    const nothing = Symbol('nothing')
    for (const message of [nothing, 'hello', null, 7, { agent: 1 }, { agentState: undefined }]) {
      const { port1, port2 } = new MessageChannel()
      if (message !== nothing) port2.postMessage(message)
      expect(await misuse(() => connectStore(port1))).toBeInstanceOf(TypeError)
      await new Promise((resolve) => port2.once('close', resolve))
    }
  })

  test('says so if the other side is of another version', async () => {
    const { port1, port2 } = new MessageChannel()
    port2.postMessage({ agentState: 99 })
    expect((await misuse(() => connectStore(port1))).message).toContain('99')
  })

  test('I11: fails when the port was closed, here or on the other side, or was moved away', async () => {
    const { store } = await hosted()
    const closedHere = store.createPort()
    closedHere.close()
    await refusal('DISCONNECTED', () => connectStore(closedHere))
    await nextTurn()
    await refusal('DISCONNECTED', () => connectStore(closedHere))

    const moved = store.createPort()
    const { port1, port2 } = new MessageChannel()
    port1.postMessage(moved, [moved])
    await refusal('DISCONNECTED', () => connectStore(moved))
    const arrived = (receiveMessageOnPort(port2) as { message: MessagePort }).message
    await (await connectStore(arrived)).close()
    port1.close()

    const late = store.createPort()
    await store.close()
    const error = await refusal('DISCONNECTED', () => connectStore(late))
    expect(error.outcome).toBe('unchanged')
  })

  test('refuses a port that is connected already, and does not disturb that connection', async () => {
    const { store } = await hosted()
    const port = store.createPort()
    const connected = await connectStore(port)
    await refusal('DISCONNECTED', () => connectStore(port))
    expect((await connected.init('n')).namespace).toBe('n')
    await connected.close()
    await refusal('DISCONNECTED', () => connectStore(port))
  })

  test('can be given up by a signal, which also holds for later calls', async () => {
    const { store, ports } = await hosted()
    const reason = new Error('not wanted')
    const port = store.createPort()
    expect(await failureOf(() => connectStore(port, { signal: AbortSignal.abort(reason) }))).toBe(reason)
    const controller = new AbortController()
    const connecting = connectStore(port, { signal: controller.signal })
    controller.abort(reason)
    expect(await failureOf(() => connecting)).toBe(reason)
    await until(() => ports.counts.connections === 0)
  })

  test('a port of a store that is closed can not be made', async () => {
    const { store, connect } = await hosted()
    const connected = await connect()
    await connected.close()
    await refusal('STORE_CLOSED', async () => connected.createPort())
    await store.close()
    await refusal('STORE_CLOSED', async () => store.createPort())
  })

  test('a connection knows that the store has failed, before and after it was made', async () => {
    const { backend, connect, store } = await hosted()
    const before = await connect()
    const failed = new Promise<unknown>((resolve) =>
      before.events.on('failed', ({ error }) => resolve(error)),
    )
    const session = await before.init('n')
    await session.write('k', '1')
    backend.host.failed(Object.assign(new Error('disk'), { code: 'JOURNAL_CORRUPT' }) as never)
    expect(await failed).toMatchObject({ message: 'disk' })
    expect([store.state, before.state]).toEqual(['failed', 'failed'])
    const after = await connect()
    expect(after.state).toBe('failed')
    await refusal('STORE_FAILED', () => session.write('k', '2'))
    expect(await (await after.resume('n')).read('k')).toBe('1')
  })
})

describe('the greeting in a port', () => {
  test('keeps what a connection has to know', () => {
    const bounds = { namespaces: new Set(['a', 'b']), readOnly: true, writer: { writerId: 'w' } }
    const content = {
      store: 's',
      token: 't',
      root: '/r',
      limits: DEFAULT_LIMITS,
      state: 'open' as const,
      isOwner: false,
    }
    for (const each of [bounds, UNBOUNDED]) {
      const greeting = structuredClone(makeGreeting({ ...content, bounds: each }))
      expect(readGreeting(greeting)).toEqual({ ...content, bounds: each })
    }
  })
})

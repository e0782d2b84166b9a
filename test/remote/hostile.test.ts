import { createSecretKey } from 'node:crypto'
import { MessageChannel } from 'node:worker_threads'
import { afterEach, describe, expect, test } from 'vitest'
import { collect } from '../../src/contract/observe.js'
import { connectStore } from '../../src/remote/connect.js'
import { ANSWER, CALL, LARGE_BYTES, NAMESPACE_SLOTS, TERMS_SLOTS } from '../../src/remote/wire.js'
import { collectGarbage } from '../helpers/collect-garbage.js'
import { hosted, until, type Hosted } from './hosted.js'
import { errorOf, RawPort } from './raw-port.js'

const NOBODY = [undefined, undefined, undefined, undefined]
const TERMS = [CALL.TERMS, 0, ...NOBODY, 'ignore', 'lost-update', 'journal', false]

function write(id: number, namespace: string, key: string, size = 0): unknown[] {
  return [...[CALL.CHANGE, id, namespace, 0, true, 1], ...[true, key, size, undefined, undefined]]
}

async function heapUsed(): Promise<number> {
  await collectGarbage()
  return process.memoryUsage().heapUsed
}

/** Another connection, which has to go on as if nothing had happened. */
async function bystander({ connect }: Hosted): Promise<() => Promise<void>> {
  const store = await connect()
  const session = await store.init('bystander', { writer: { writerId: 'b' } })
  return async () => {
    await session.write('k', 'still here')
    expect(await session.read('k')).toBe('still here')
    expect(store.state).toBe('open')
  }
}

afterEach(() => {
  expect(Object.keys(Object.prototype)).toEqual([])
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
})

describe('a hostile message on a raw port', () => {
  const messages: Readonly<Record<string, object>> = {
    'sets the prototype of everything': {
      type: 'SET',
      path: ['__proto__', 'polluted'],
      value: { type: 'RAW', value: true },
    },
    'sets by way of the constructor': {
      type: 'SET',
      path: ['constructor', 'prototype', 'polluted'],
      value: { type: 'RAW', value: true },
    },
    'replaces the exposed method': { type: 'SET', path: ['calls'], value: { type: 'RAW', value: null } },
    'asks for what is there': { type: 'GET', path: [] },
    'asks for a property': { type: 'GET', path: ['calls', 'constructor'] },
    'constructs a function from text': {
      type: 'CONSTRUCT',
      path: ['calls', 'constructor'],
      argumentList: [{ type: 'RAW', value: 'process.exit(7)' }],
    },
    'calls the function constructor': {
      type: 'APPLY',
      path: ['calls', 'constructor'],
      argumentList: [{ type: 'RAW', value: 'process.exit(7)' }],
    },
    'calls through apply': {
      type: 'APPLY',
      path: ['calls', 'apply'],
      argumentList: [{ type: 'RAW', value: [] }],
    },
    'calls what is not exposed': {
      type: 'APPLY',
      path: ['deliver'],
      argumentList: [{ type: 'RAW', value: [] }],
    },
    'asks for another port': { type: 'ENDPOINT' },
    'wants everything released': { type: 'RELEASE' },
    'has an argument that comlink would unwrap': {
      type: 'APPLY',
      path: ['calls'],
      argumentList: [{ type: 'HANDLER', name: 'throw', value: { isError: true, value: {} } }],
    },
    'has an argument handled by nobody': {
      type: 'APPLY',
      path: ['calls'],
      argumentList: [{ type: 'HANDLER', name: '__proto__', value: 1 }],
    },
    'has no arguments': { type: 'APPLY', path: ['calls'] },
    'has a path that goes on for ever': {
      type: 'GET',
      path: Array.from({ length: 100_000 }, () => '__proto__'),
    },
    'is of no type': {},
    'is of a type of its own': { type: { toString: 'APPLY' }, path: ['calls'] },
    'has maps and sets': { type: 'APPLY', path: new Set(['calls']), argumentList: new Map() },
  }
  for (const [name, message] of Object.entries(messages)) {
    test(`that ${name} gets an error and harms nothing`, async () => {
      const host = await hosted()
      const stillWorks = await bystander(host)
      const raw = new RawPort(host.store.createPort())
      expect(errorOf(await raw.ask(message))?.name).toBe('TypeError')
      await raw.calls([CALL.HELLO, 1])
      expect((await raw.delivery()).list).toEqual([ANSWER.DONE, 1])
      await stillWorks()
    })
  }

  test('without an id is passed over', async () => {
    const host = await hosted()
    const stillWorks = await bystander(host)
    const raw = new RawPort(host.store.createPort())
    const silent = [undefined, null, 0, 'SET', [], { type: 'SET', path: ['__proto__', 'polluted'], value: 1 }]
    for (const message of [...silent, new Map(), new Date(), /x/, new ArrayBuffer(8), { id: {} }])
      raw.say(message)
    await raw.calls([CALL.HELLO, 1])
    expect((await raw.delivery()).list).toEqual([ANSWER.DONE, 1])
    expect(raw.messages.length).toBe(2)
    await stillWorks()
  })

  test('that answers what nobody asked, or asks to be unwrapped in answers, changes nothing', async () => {
    const host = await hosted()
    const raw = new RawPort(host.store.createPort())
    const { port1, port2 } = new MessageChannel()
    raw.say({ id: 'x', type: 'RAW', value: 1 })
    raw.say({ id: 'x', type: 'HANDLER', name: 'proxy', value: port1 }, [port1])
    raw.say({ id: 'x', type: 'HANDLER', name: 'throw', value: { isError: true, value: { message: 'boo' } } })
    await raw.calls([CALL.HELLO, 1])
    expect((await raw.delivery()).list).toEqual([ANSWER.DONE, 1])
    port2.close()
  })

  test('that is a list is taken message by message, and holes and lists in it are passed over', async () => {
    const host = await hosted()
    const raw = new RawPort(host.store.createPort())
    const hello = (id: number): object => ({
      ...{ id: `hello ${id}`, type: 'APPLY', path: ['calls'] },
      argumentList: [{ type: 'RAW', value: [[CALL.HELLO, id], null, [], []] }],
    })
    const holes: unknown[] = []
    holes[3] = hello(2)
    raw.say([])
    raw.say([hello(1), [hello(99)], { id: 'x', type: 'RAW' }])
    raw.say(holes)
    raw.say(hello(3))
    const answers: unknown[] = []
    while (answers.length < 6) answers.push(...(await raw.delivery()).list)
    expect(answers).toEqual([ANSWER.DONE, 1, ANSWER.DONE, 2, ANSWER.DONE, 3])
  })

  test('I9: that is a longer list than the library makes closes the port at once', async () => {
    const host = await hosted()
    const stillWorks = await bystander(host)
    const raw = new RawPort(host.store.createPort())
    const empty = {
      id: 'x',
      type: 'APPLY',
      path: ['calls'],
      argumentList: [{ type: 'RAW', value: [[], null, [], []] }],
    }
    raw.say(Array.from({ length: 1_000_000 }, () => empty))
    await raw.closed
    expect(raw.messages).toEqual([])
    const sparse: unknown[] = []
    sparse[2 ** 32 - 2] = empty
    const other = new RawPort(host.store.createPort())
    other.say(sparse)
    await other.closed
    await stillWorks()
  })

  test('that is huge gets an error and harms nothing', async () => {
    const host = await hosted()
    const stillWorks = await bystander(host)
    const raw = new RawPort(host.store.createPort())
    const huge = 'x'.repeat(20_000_000)
    const answers = [
      await raw.ask({ type: 'APPLY', path: [huge], argumentList: [] }),
      await raw.ask({ type: 'GET', path: Array.from({ length: 1_000_000 }, (_, index) => index) }),
      await raw.apply(huge),
      await raw.apply([[huge], null, [], []]),
      await raw.calls(Array.from({ length: 1_000_000 }, () => CALL.HELLO)),
    ]
    for (const answer of answers) expect(errorOf(answer)?.name).toMatch(/TypeError|Error/)
    await raw.calls([CALL.READ, 1_000_001, 'n', huge])
    const { list } = await raw.delivery()
    expect(list.at(-1)).toMatchObject({ fields: { code: 'INVALID_KEY' } })
    expect(JSON.stringify(list.at(-1)).length).toBeLessThan(100_000)
    await stillWorks()
  })

  test('I9: comes too often, and the port is closed', async () => {
    const host = await hosted()
    const stillWorks = await bystander(host)
    const senseless = new RawPort(host.store.createPort())
    for (let count = 0; count < 5000; count++) senseless.say({ id: `${count}`, type: 'SET', path: [] })
    await senseless.closed
    expect(senseless.messages.length).toBeLessThanOrEqual(1000)
    const malformed = new RawPort(host.store.createPort())
    const answers = await Promise.all(Array.from({ length: 2000 }, () => malformed.apply('nonsense')))
    expect(answers.at(-1)).toBe('closed')
    await until(() => host.ports.counts.connections === 1)
    await stillWorks()
  })
})

describe('a hostile batch', () => {
  const shared = new Uint8Array(new SharedArrayBuffer(8))
  const CHANGE = [...TERMS, CALL.CHANGE, 1, 'n', 0]
  const malformed: Readonly<Record<string, () => [unknown, unknown?, unknown?, unknown?]>> = {
    'no list': () => [undefined],
    'an unknown call': () => [[99, 1]],
    'a call that is a name': () => [['__proto__', 1]],
    'a call cut short': () => [[CALL.READ, 1, 'n']],
    'no id': () => [[CALL.READ, undefined, 'n', 'k']],
    'an id of zero': () => [[CALL.READ, 0, 'n', 'k']],
    'a negative id': () => [[CALL.READ, -1, 'n', 'k']],
    'a fractional id': () => [[CALL.READ, 1.5, 'n', 'k']],
    'an id that was used': () => [[CALL.HELLO, 5, CALL.HELLO, 5]],
    'an id that is an object': () => [[CALL.READ, { valueOf: 1 }, 'n', 'k']],
    'a namespace that is no text': () => [[CALL.READ, 1, ['n'], 'k']],
    'a number that stands for no namespace': () => [[CALL.READ, 1, 0, 'k']],
    'a number for a namespace that no table has': () => [[CALL.NAMESPACE, NAMESPACE_SLOTS, 'n']],
    'a name by number that is no text': () => [[CALL.NAMESPACE, 0, ['n'], CALL.READ, 1, 0, 'k']],
    'a number for no name': () => [[CALL.NAMESPACE, 0, undefined, CALL.READ, 1, 0, 'k']],
    'a write cut short': () => [[...TERMS, CALL.WRITE, 1, 'n', 0, 'k', 0, undefined]],
    'a write with less than it announces': () => [[...TERMS, CALL.WRITE, 1, 'n', 0, 'k', 8, null, null]],
    'a key that is no text': () => [[CALL.READ, 1, 'n', { toString: 'k' }]],
    'a negative size': () => [[...CHANGE, true, 1, true, 'k', -1, null, null], new Uint8Array(8)],
    'a size beyond the limit': () => [
      [...CHANGE, true, 1, true, 'k', 2 ** 40, null, null],
      new Uint8Array(8),
    ],
    'a delete that announces a size': () => [
      [...CHANGE, true, 1, false, 'k', 1, null, null],
      new Uint8Array(8),
    ],
    'a size that is no number': () => [[...CHANGE, true, 1, true, 'k', '4', null, null], new Uint8Array(8)],
    'more bytes announced than there are': () => [
      [...CHANGE, true, 1, true, 'k', 9, null, null],
      new Uint8Array(8),
    ],
    'bytes announced and none there': () => [[...CHANGE, true, 1, true, 'k', 9, null, null]],
    'a large value without its buffer': () => [[...CHANGE, true, 1, true, 'k', LARGE_BYTES, null, null]],
    'a large value with a smaller buffer': () => [
      [...CHANGE, true, 1, true, 'k', LARGE_BYTES, null, null],
      null,
      [new ArrayBuffer(8)],
    ],
    'shared memory': () => [[...CHANGE, true, 1, true, 'k', 8, null, null], shared],
    'bytes that are something else': () => [
      [...CHANGE, true, 1, true, 'k', 4, null, null],
      new Float64Array(4),
    ],
    'no operations': () => [[...CHANGE, false, 0]],
    'more operations than a batch may have': () => [[...CHANGE, false, 10_001]],
    'two operations called one': () => [[...CHANGE, true, 2]],
    'a condition that is a text': () => [[...CHANGE, true, 1, true, 'k', 0, '7', null]],
    'a negative condition': () => [[...CHANGE, true, 1, true, 'k', 0, -7, null]],
    'terms that were never given': () => [[CALL.CHANGE, 1, 'n', 7, true, 1, true, 'k', 0, null, null]],
    'terms out of range': () => [
      [CALL.TERMS, TERMS_SLOTS, ...NOBODY, 'ignore', 'lost-update', 'journal', false],
    ],
    'an unknown policy': () => [[CALL.TERMS, 0, ...NOBODY, '__proto__', 'lost-update', 'journal', false]],
    'an unknown rule': () => [[CALL.TERMS, 0, ...NOBODY, 'ignore', 'constructor', 'journal', false]],
    'a writer that is no text': () => [[CALL.TERMS, 0, { id: 1 }, ...NOBODY]],
    'an unknown event': () => [[CALL.EVENTS, '__proto__', undefined, true]],
    'an event that is not to be had': () => [[CALL.EVENTS, 'failed', undefined, true]],
    'a limit of nothing': () => [[CALL.LIST, 1, 'n', undefined, undefined, 0, false]],
    'a port that is none': () => [[CALL.PORT, 'token', null, false, ...NOBODY], null, [], [{}]],
    'a port that is missing': () => [[CALL.PORT, 'token', null, false, ...NOBODY]],
    'items taken without a number': () => [[CALL.WATCH_TAKEN, 1, NaN]],
    'a parent that is no number': () => [[CALL.UPDATE, 1, 'n', 'k', 0, 'token', 'parent']],
  }
  for (const [name, make] of Object.entries(malformed)) {
    test(`with ${name} gets an error and harms nothing`, async () => {
      const host = await hosted()
      const stillWorks = await bystander(host)
      const raw = new RawPort(host.store.createPort())
      const [list, packed = null, large = [], ports = []] = make()
      expect(errorOf(await raw.apply([list, packed, large, ports]))?.name).toMatch(/Error/)
      expect(raw.isClosed).toBe(false)
      await raw.calls([CALL.HELLO, 1000])
      const answers: unknown[] = []
      while (answers.at(-1) !== 1000) answers.push(...(await raw.delivery()).list)
      await stillWorks()
    })
  }

  test('with odd objects in every place gets an error and harms nothing', async () => {
    const host = await hosted()
    const stillWorks = await bystander(host)
    const odd = (): unknown[] => [
      new Error('odd'),
      new Map([['byteLength', 8]]),
      /odd/,
      10n ** 100n,
      new Date(NaN),
      new Blob(['odd']),
      createSecretKey(Buffer.alloc(16)),
      new SharedArrayBuffer(LARGE_BYTES),
      Reflect.construct(ArrayBuffer, [LARGE_BYTES, { maxByteLength: LARGE_BYTES * 2 }]),
      new DataView(new ArrayBuffer(8)),
      Object.assign([], { length: 2 ** 32 - 1 }),
      { __proto__: null, length: 1, 0: CALL.HELLO },
      JSON.parse('{"__proto__": {"polluted": true}, "constructor": {"prototype": {"polluted": true}}}'),
    ]
    const large = [...TERMS, CALL.CHANGE, 1, 'n', 0, true, 1, true, 'k', LARGE_BYTES, null, null]
    const small = [...TERMS, CALL.CHANGE, 1, 'n', 0, true, 1, true, 'k', 8, null, null]
    for (const index of odd().keys()) {
      const raw = new RawPort(host.store.createPort())
      const one = (): unknown => odd()[index]
      const answers = await Promise.all([
        raw.apply(one()),
        raw.apply([one(), null, [], []]),
        raw.apply([[one()], null, [], []]),
        raw.apply([[CALL.READ, 1, one(), 'k'], null, [], []]),
        raw.apply([[CALL.TERMS, 0, one()], null, [], []]),
        raw.apply([small, one(), [], []]),
        raw.apply([large, null, [one()], []]),
        raw.apply([large, null, one(), []]),
        raw.apply([[CALL.PORT, 'token', one(), false, ...NOBODY], null, [], one()]),
      ])
      for (const answer of answers) expect(errorOf(answer)?.name, `object ${index}`).toMatch(/Error/)
      expect(raw.isClosed).toBe(false)
      raw.port.close()
    }
    await stillWorks()
  })

  test('with values that the library would refuse is refused call by call', async () => {
    const { store } = await hosted()
    const session = await store.init('n')
    const raw = new RawPort(store.createPort())
    const keys = [
      '',
      '/',
      '/a',
      'a/',
      'a//b',
      './a',
      'a/.',
      '../a',
      'a/../b',
      'a\0',
      '\ud800',
      '.agent_state_meta',
    ]
    const tooLong = `${'k'.repeat(200)}/`.repeat(6)
    // Longer than any setting lets a key be.
    const endless = 'k/'.repeat(32_768) + 'k'
    const namespaces = ['', '.', '..', 'a/b', '.git', '.agent_state', 'n'.repeat(201), '\udc00', 'a\0b']
    let id = 0
    const expectations: [number, string][] = []
    const list: unknown[] = [...TERMS]
    for (const key of [...keys, 'k'.repeat(251), endless, tooLong]) {
      list.push(
        ...write(++id, 'n', key),
        CALL.READ,
        ++id,
        'n',
        key,
        CALL.UPDATE,
        ++id,
        'n',
        key,
        0,
        undefined,
        0,
      )
      list.push(CALL.WRITE, ++id, 'n', 0, key, 0, undefined, undefined)
      const code = key === tooLong ? 'LIMIT_EXCEEDED' : 'INVALID_KEY'
      expectations.push(...[id - 3, id - 2, id - 1, id].map((each): [number, string] => [each, code]))
    }
    for (const namespace of namespaces) {
      list.push(...write(++id, namespace, 'k'), CALL.CREATE, ++id, namespace, CALL.EXISTS, ++id, namespace)
      list.push(CALL.NAMESPACE, 0, namespace, CALL.WRITE, ++id, 0, 0, 'k', 0, undefined, undefined)
      const refused = [id - 3, id - 2, id - 1, id]
      expectations.push(...refused.map((each): [number, string] => [each, 'INVALID_NAMESPACE']))
    }
    await raw.calls(list)
    const codes = new Map<number, string>()
    while (codes.size < expectations.length) {
      const answers = (await raw.delivery()).list
      for (let index = 0; index < answers.length; index += 3) {
        expect(answers[index]).toBe(ANSWER.FAILED)
        const { fields } = answers[index + 2] as { fields: { code: string } }
        codes.set(answers[index + 1] as number, fields.code)
      }
    }
    for (const [each, code] of expectations) expect([each, codes.get(each)]).toEqual([each, code])
    expect(await session.list()).toEqual([])
    expect(await collect(store.namespaces())).toEqual(['n'])
  })

  test('with a key twice, or a writer that is too long, is refused as misuse', async () => {
    const { store } = await hosted()
    const session = await store.init('n')
    const raw = new RawPort(store.createPort())
    const twice = [CALL.CHANGE, 1, 'n', 0, false, 2]
    const operation = [true, 'k', 0, undefined, undefined]
    const long = [CALL.TERMS, 1, 'w'.repeat(2000), undefined, undefined, undefined]
    const changeLong = [CALL.CHANGE, 2, 'n', 1, true, 1, ...operation]
    await raw.calls([
      ...[...TERMS, ...twice, ...operation, ...operation],
      ...[...long, 'ignore', 'lost-update', 'journal', false, ...changeLong],
    ])
    expect((await raw.delivery()).list).toMatchObject([
      ...[ANSWER.FAILED, 1, { kind: 'type' }],
      ...[ANSWER.FAILED, 2, { kind: 'range' }],
    ])
    expect(await session.list()).toEqual([])
  })

  test('with texts longer than any name takes no memory for them, and gets the answer that they deserve', async () => {
    const host = await hosted()
    const session = await host.store.init('n')
    await session.write('k', '')
    const raw = new RawPort(host.store.createPort())
    const before = await heapUsed()
    const size = 1_000_000
    const large = (index: number): string => String.fromCharCode(index) + 'x'.repeat(size)
    for (let index = 1; index <= 100; index++) {
      await raw.calls([CALL.WATCH, index, 'n', large(97 + (index % 26)), undefined, true])
      await raw.calls([CALL.EVENTS, 'change', large(index), true])
    }
    expect(host.ports.counts.watches).toBe(100)
    expect((await heapUsed()) - before).toBeLessThan(20 * size)
    const lists: unknown[][] = [
      [large(107), undefined, []],
      [undefined, large(106), ['k']],
      [undefined, `k${large(0)}`, []],
    ]
    raw.messages.length = 0
    for (const [index, [prefix, after, names]] of lists.entries()) {
      await raw.calls([CALL.LIST, 1000 + index, 'n', prefix, after, undefined, false])
      const answered = (): unknown[] =>
        raw.messages.flatMap(
          (message) =>
            (message as { argumentList?: [{ value: [unknown[]] }] }).argumentList?.[0].value[0] ?? [],
        )
      await until(() => answered().includes(1000 + index))
      const list = answered()
      expect(list[list.indexOf(1000 + index) + 1]).toEqual(names)
    }
  })

  test("does not reach what belongs to another connection: its calls, turns and watches have other connections' ids", async () => {
    const { store, connect, ports } = await hosted()
    const session = await (await connect()).init('n')
    const items = session.watch()[Symbol.asyncIterator]()
    const { promise, release } = gate()
    const updating = session.update('k', async () => {
      await promise
      return 'updated'
    })
    await until(() => ports.counts.turns === 1 && ports.counts.watches === 1)
    const raw = new RawPort(store.createPort())
    const ids = Array.from({ length: 30 }, (_, index) => index + 1)
    await raw.calls(
      ids.flatMap((id) => [CALL.ABORT, id, CALL.TURN_OVER, id, CALL.WATCH_STOP, id, CALL.WATCH_TAKEN, id, 1]),
    )
    // An update inside one that it can't name waits as any other.
    await raw.calls([...TERMS, CALL.UPDATE, 1, 'n', 'k', 0, 'not the token', 1])
    expect(ports.counts).toMatchObject({ turns: 2, watches: 1 })
    release()
    expect(await updating).toMatchObject({ key: 'k' })
    expect((await items.next()).value).toMatchObject({ key: 'k' })
    await items.return?.()
  })

  test('that acknowledges more watch items than it got is malformed', async () => {
    const { store } = await hosted()
    await store.init('n')
    const raw = new RawPort(store.createPort())
    await raw.calls([CALL.WATCH, 1, 'n', undefined, undefined, true])
    expect(errorOf(await raw.calls([CALL.WATCH_TAKEN, 1, 256]))).not.toBeNull()
  })

  test('can not choose the token of another connection for a port', async () => {
    const { store, ports } = await hosted()
    const victim = new RawPort(store.createPort())
    const raw = new RawPort(store.createPort())
    const { port1, port2 } = new MessageChannel()
    const closed = new Promise((resolve) => port2.once('close', resolve))
    await raw.calls([CALL.PORT, victim.greeting.token, null, false, ...NOBODY], null, [], [port1])
    await closed
    expect(ports.counts.connections).toBe(2)
  })
})

test('a store can be closed by no port, whatever it says', async () => {
  const { store } = await hosted()
  const raw = new RawPort(store.createPort())
  await raw.calls([CALL.CLOSE, 1, true])
  expect((await raw.delivery()).list).toEqual([ANSWER.DONE, 1])
  // What follows a farewell is passed over.
  await raw.calls([CALL.HELLO, 2])
  expect(store.state).toBe('open')
  await (await connectStore(store.createPort())).close()
})

function gate(): { promise: Promise<void>; release: () => void } {
  let release = (): void => {}
  const promise = new Promise<void>((resolve) => (release = resolve))
  return { promise, release: () => release() }
}

import { describe, expect, test, vi } from 'vitest'
import type { BackendHost, OpenAnswer } from '../../src/backend/backend.js'
import { Coordinator } from '../../src/coordinator/coordinator.js'
import { deferred, failureOf, nextTurn, refusal } from '../../src/contract/observe.js'
import { stateError } from '../../src/errors.js'
import { EventBus } from '../../src/event-bus.js'
import { DEFAULT_LIMITS } from '../../src/limits.js'
import type { UpdateStep } from '../../src/store-host.js'
import {
  bytesOf,
  coordinate,
  QuestionedBackend,
  settle,
  type Coordinated,
  TERMS,
  writeOf,
} from './coordinated.js'

const FAILED = stateError('STORE_FAILED', 'the sync failed', {})

function unopened(backend: QuestionedBackend) {
  const bus = new EventBus(10)
  return { bus, coordinator: new Coordinator(backend, DEFAULT_LIMITS, bus, () => 0) }
}

test('I9: namespaces that are only looked for, or are there already, leave the memory again', async () => {
  for (const how of ['exists', 'create'] as const) {
    const { backend, coordinator, create } = await coordinate({ headBytesMax: 3000 })
    for (let index = 0; index < 20; index++) await create(`n${index}`)
    const loaded = vi.spyOn(backend, 'load')
    const look = (name: string): Promise<unknown> =>
      how === 'exists' ? coordinator.exists(name, undefined) : create(name)
    for (let index = 0; index < 20; index++) await look(`n${index}`)
    loaded.mockClear()
    await look('n0')
    expect(loaded).toHaveBeenCalledTimes(1)
  }
})

describe('opening', () => {
  test('what happened meanwhile is told in the first turn after it: then somebody can have subscribed', async () => {
    const backend = new QuestionedBackend()
    const open = backend.open.bind(backend)
    backend.open = async (host: BackendHost): Promise<OpenAnswer> => {
      const answer = await open(host)
      host.warning('EARLY', 'while opening')
      host.external('n', 'k', null)
      return { ...answer, recovered: { operations: 3, preserved: 1 } }
    }
    const { bus, coordinator } = unopened(backend)
    await coordinator.open()
    const told: unknown[] = []
    bus.on('recovered', (event) => told.push(event))
    bus.on('warning', ({ code }) => told.push(code))
    bus.on('external', ({ key }) => told.push(key))
    expect(told).toEqual([])
    await nextTurn()
    expect(told).toEqual([{ operations: 3, preserved: 1 }, 'EARLY', 'k'])
  })

  test('a backend that does not open is the error of the opening', async () => {
    const backend = new QuestionedBackend()
    backend.open = () => Promise.reject(new Error('not there'))
    expect(await failureOf(() => unopened(backend).coordinator.open())).toMatchObject({
      message: 'not there',
    })
  })
})

describe('updates', () => {
  /** An update that appends, or whatever `decide` says. */
  function step(made: Coordinated, key: string, decide: UpdateStep['decide']): UpdateStep {
    return {
      terms: TERMS,
      decide,
      submit: async (value, found) => {
        const ifRevision = found === null ? null : found.head.revision
        const [result] = await made.change('n', [
          value === null
            ? { kind: 'delete', key, ifRevision, seen: ifRevision }
            : { ...writeOf(key, String(value)), ifRevision, seen: ifRevision },
        ])
        return result!
      },
    }
  }

  test('start again with what is there when somebody else wrote in between', async () => {
    const made = await coordinate()
    await made.create('n')
    const found: unknown[] = []
    const result = await made.coordinator.update(
      'n',
      'k',
      undefined,
      step(made, 'k', async (seen) => {
        found.push(seen === null ? null : Buffer.from(seen.value).toString())
        if (found.length < 3) await made.write('n', 'k', `other ${found.length}`)
        return `${Buffer.from(seen?.value ?? []).toString()} and mine`
      }),
    )
    expect(found).toEqual([null, 'other 1', 'other 2'])
    expect(result).toMatchObject({ key: 'k' })
    expect(made.coordinator.read('n', 'k', undefined)).toMatchObject({
      value: bytesOf('other 2 and mine'),
    })
  })

  test('undefined changes nothing, null deletes; any other error than a change in between is passed on', async () => {
    const made = await coordinate()
    await made.create('n')
    await made.write('n', 'k', 'v')
    const update = (decide: UpdateStep['decide']) =>
      made.coordinator.update('n', 'k', undefined, step(made, 'k', decide))
    expect(await update(async () => undefined)).toBeNull()
    expect(await failureOf(() => update(() => Promise.reject(new Error('mine'))))).toMatchObject({
      message: 'mine',
    })
    expect(await update(async () => null)).toMatchObject({ deleted: true })
    expect(made.coordinator.turnsHeld).toBe(0)
  })

  test('I11: with a signal that has aborted, the function is not called', async () => {
    const made = await coordinate()
    await made.create('n')
    await made.write('n', 'k', 'v')
    let calls = 0
    const decide = async (): Promise<undefined> => void calls++
    const update = () =>
      made.coordinator.update('n', 'k', AbortSignal.abort(new Error('enough')), step(made, 'k', decide))
    expect(await failureOf(update)).toMatchObject({ message: 'enough' })
    expect(calls).toBe(0)
  })

  test('I11: closing ends those that wait for their turn or for their function; what was submitted is answered', async () => {
    const made = await coordinate()
    await made.create('n')
    made.backend.holds = true
    const never = deferred<string>()
    const update = (key: string, decide: UpdateStep['decide']) =>
      made.coordinator.update('n', key, undefined, step(made, key, decide))
    const hanging = refusal('STORE_CLOSED', () => update('a', () => never.promise))
    const waiting = refusal('STORE_CLOSED', () => update('a', async () => 'x'))
    const submitted = update('b', async () => 'x')
    const commit = await made.backend.nextCommit()
    const closing = made.coordinator.close({ flush: true })
    expect((await hanging).outcome).toBe('unchanged')
    await waiting
    await commit.proceed()
    expect(await submitted).toMatchObject({ key: 'b' })
    await closing
    await refusal('STORE_CLOSED', async () => update('c', async () => 'x'))
  })
})

describe('failing', () => {
  test('is told once, and keeps reads and waiting updates answered', async () => {
    const { backend, coordinator, events, write, create } = await coordinate()
    await create('n')
    await write('n', 'k', 'v')
    backend.host.failed(FAILED)
    backend.host.failed(stateError('STORE_FAILED', 'again', {}))
    expect(events.failed).toEqual([{ error: FAILED }])
    expect(coordinator.state).toBe('failed')
    expect(coordinator.read('n', 'k', undefined)).toMatchObject({ value: bytesOf('v') })
    await refusal('STORE_FAILED', () => write('n', 'k', 'w'))
    await coordinator.close({ flush: false })
    expect(coordinator.state).toBe('closed')
  })
})

describe('closing', () => {
  test('every call after it is refused', async () => {
    const { coordinator, create, write } = await coordinate()
    await create('n')
    await coordinator.close({ flush: true })
    const calls: (() => unknown)[] = [
      () => write('n', 'k'),
      () => coordinator.read('n', 'k', undefined),
      () => coordinator.head('n', 'k', undefined),
      () => coordinator.names('n', undefined),
      () => coordinator.list('n', undefined, undefined),
      () => coordinator.exists('n', undefined),
      () => coordinator.namespaces(undefined, undefined),
      () => coordinator.flush(undefined),
      () => coordinator.watch('n', {}),
    ]
    for (const call of calls) await refusal('STORE_CLOSED', call)
  })

  test('a wait that was given up does not hold the store open, but its question does', async () => {
    const { backend, coordinator, create, write } = await coordinate()
    await create('n')
    await write('n', 'k', 'v')
    await coordinator.close({ flush: true })
    const again = await coordinate({}, backend)
    backend.holdsQuestions = true
    const controller = new AbortController()
    const reading = failureOf(() => again.coordinator.read('n', 'k', controller.signal))
    while (backend.readQuestions.length === 0) await nextTurn()
    controller.abort(new Error('enough'))
    await reading
    let isClosed = false
    const closing = again.coordinator.close({ flush: true }).then(() => (isClosed = true))
    await settle()
    expect(isClosed).toBe(false)
    await backend.readQuestions[0]!.proceed()
    await closing
  })
})

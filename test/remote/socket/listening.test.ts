/** Where an owner listens: who may connect, what lies there before and after, and roots of any length. */
import { connectStore, openStore, type Store } from 'agent-state'
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { once } from 'node:events'
import { relative } from 'node:path'
import { Worker } from 'node:worker_threads'
import { describe, expect, onTestFinished, test } from 'vitest'
import { nextTurn, record, refusal } from '../../../src/contract/observe.js'
import { temporaryDirectory } from '../../damage/support/temporary-directory.js'
import { makeOutside, plant, PLANTED, snapshot } from '../../hostile/support/plant.js'

type Options = Omit<Parameters<typeof openStore>[0] & { root: string }, 'backend'>

async function open(root: string, options: Partial<Options> = {}): Promise<Store> {
  const store = await openStore({ root, workers: 1, ...options })
  onTestFinished(() => store.close({ flush: false }))
  return store
}

/** Writes through a connection, and reads it where the owner is. */
async function expectReached(owner: Store, root: string): Promise<void> {
  const connected = await connectStore({ root }, { writer: { writerId: 'guest' } })
  await (await connected.init('n')).write('k', 'from elsewhere')
  await connected.close({ flush: false })
  const session = await owner.resume('n')
  expect(await session.read('k')).toBe('from elsewhere')
  expect((await session.stat('k'))!.writer).toEqual({ writerId: 'guest' })
}

/** Listens, and stops listening when it is told to, without having come back to its event loop. */
const OWNER_THAT_NEVER_ACCEPTS = `
  const { parentPort, workerData } = require('node:worker_threads')
  const { path, steps } = workerData
  const server = require('node:net').createServer().listen(path, () => {
    parentPort.postMessage('listens')
    Atomics.wait(steps, 0, 0)
    server.close()
    Atomics.store(steps, 0, 2)
    Atomics.notify(steps, 0)
  })
`

const socketOf = (root: string): string => `${root}/.agent_state/socket`

describe('the socket of an owner', () => {
  test('belongs to its user alone, whatever the umask and the mode are', async () => {
    const root = temporaryDirectory()
    const umask = process.umask(0)
    try {
      await open(root, { mode: { file: 0o666, directory: 0o777 } })
    } finally {
      process.umask(umask)
    }
    const stat = lstatSync(socketOf(root))
    expect(stat.isSocket()).toBe(true)
    expect(stat.mode & 0o777).toBe(0o600)
    expect(readdirSync(`${root}/.agent_state/tmp`)).toEqual([])
  })

  test('is there as long as the store is open, and no longer', async () => {
    const root = temporaryDirectory()
    const store = await open(root)
    await expectReached(store, root)
    await store.close()
    expect(existsSync(socketOf(root))).toBe(false)
    const { retryable, outcome } = await refusal('NO_OWNER', () => connectStore({ root }))
    expect([retryable, outcome]).toEqual([true, 'unchanged'])
  })

  test('is gone before the lock is, so that it never leads to a store that has another owner', async () => {
    const root = temporaryDirectory()
    for (let round = 0; round < 5; round++) {
      const store = await open(root)
      const closing = store.close()
      expect(existsSync(socketOf(root))).toBe(false)
      const next = await open(root, { ownerWaitMs: 60_000 })
      await closing
      await expectReached(next, root)
      await next.close({ flush: false })
    }
  })

  test('is not made with socket: false', async () => {
    const root = temporaryDirectory()
    await open(root, { socket: false })
    expect(existsSync(socketOf(root))).toBe(false)
    await refusal('NO_OWNER', () => connectStore({ root }))
    await refusal('STORE_OWNED', () => openStore({ root }))
  })

  test('is served by a store that has a thread of its own', async () => {
    const root = temporaryDirectory()
    const store = await open(root, { ownThread: true })
    await expectReached(store, root)
    const connected = await connectStore({ root })
    await store.close()
    await refusal('DISCONNECTED', () => connected.init('n'))
    expect(existsSync(socketOf(root))).toBe(false)
  })

  test('is found by a relative path, and through a symlink to the root', async () => {
    const root = temporaryDirectory()
    const store = await open(root)
    await expectReached(store, relative(process.cwd(), root))
    const above = temporaryDirectory()
    execFileSync('ln', ['-s', root, `${above}/link`])
    await expectReached(store, `${above}/link`)
  })

  test('turns away who comes when there are as many as the limit allows', async () => {
    const root = temporaryDirectory()
    await open(root, { limits: { socketConnectionsMax: 2 } })
    const [first] = await Promise.all([connectStore({ root }), connectStore({ root })])
    await refusal('DISCONNECTED', () => connectStore({ root }))
    await first.close()
    // The owner learns that the first one has gone in a moment of its own.
    let third: Store | null = null
    while (third === null) third = await connectStore({ root }).catch(() => nextTurn().then(() => null))
    await third.init('n')
  })
})

describe('a root that nobody can be reached at', () => {
  test('is told from one that can not be', async () => {
    const root = temporaryDirectory()
    await refusal('NO_OWNER', () => connectStore({ root: `${root}/missing` }))
    await refusal('NO_OWNER', () => connectStore({ root }))
    writeFileSync(`${root}/file`, '')
    await refusal('ROOT_UNUSABLE', () => connectStore({ root: `${root}/file` }))
    expect(readdirSync(root)).toEqual(['file'])
  })

  test('is told so when its owner ends before it comes to accept', async () => {
    const root = temporaryDirectory()
    mkdirSync(`${root}/.agent_state`)
    const steps = new Int32Array(new SharedArrayBuffer(4))
    const owner = new Worker(OWNER_THAT_NEVER_ACCEPTS, {
      eval: true,
      workerData: { path: socketOf(root), steps },
    })
    await once(owner, 'message')
    const refused = refusal('DISCONNECTED', () => connectStore({ root }))
    // Whoever connects has asked to when these are over, and has not heard yet.
    for (let turn = 0; turn < 20; turn++) await Promise.resolve()
    Atomics.store(steps, 0, 1)
    Atomics.notify(steps, 0)
    Atomics.wait(steps, 0, 1)
    await refused
    await owner.terminate()
  })

  test('is not waited for when that is given up', async () => {
    const root = temporaryDirectory()
    await open(root)
    const reason = new Error('given up')
    await expect(connectStore({ root }, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    const controller = new AbortController()
    const connecting = connectStore({ root }, { signal: controller.signal })
    controller.abort(reason)
    await expect(connecting).rejects.toBe(reason)
  })
})

describe('a root whose path is longer than the address of a socket may be', () => {
  // The address of what is moved to its place is the longer one: between the two lengths only that is too long.
  test.each([...Array.from({ length: 24 }, (_, index) => 75 + index), 107, 108, 1500])(
    'is served, at %i bytes',
    async (length) => {
      const root = longRoot(temporaryDirectory(), length)
      const descriptors = openDirectories()
      const store = await open(root)
      await expectReached(store, root)
      await store.close({ flush: false })
      expect(existsSync(socketOf(root))).toBe(false)
      expect(openDirectories()).toEqual(descriptors)
    },
  )
})

describe('a root that was moved while it was open', () => {
  test('leaves the socket of the one that lies in its place alone', async () => {
    const above = temporaryDirectory()
    const root = `${above}/root`
    const moved = await open(root)
    renameSync(root, `${above}/moved`)
    const next = await open(root)
    await moved.close({ flush: false })
    await expectReached(next, root)
  })
})

describe.each(PLANTED)('a %s', (kind) => {
  test('in the place of the socket changes nothing outside, and is replaced unless it is a directory', async (context) => {
    const directory = temporaryDirectory()
    const [root, outside] = [`${directory}/root`, makeOutside(directory)]
    await (await open(root)).close()
    const before = snapshot(outside)
    if (!plant(kind, socketOf(root), outside)) return context.skip('this can not be made here')
    await refusal('NO_OWNER', () => connectStore({ root }))
    const store = await openStore({ root, workers: 1 })
    const warnings = record(store.events, 'warning')
    if (kind.includes('directory') && !kind.startsWith('symlink')) {
      await warnings.until(({ code }) => code === 'SOCKET_UNAVAILABLE')
      await refusal('NO_OWNER', () => connectStore({ root }))
      await store.init('n')
    } else {
      await expectReached(store, root)
    }
    await store.close()
    expect(snapshot(outside)).toEqual(before)
    expect(readdirSync(`${root}/.agent_state/tmp`)).toEqual([])
  })

  test('where the socket is made is in the way of nothing else', async (context) => {
    const directory = temporaryDirectory()
    const [root, outside] = [`${directory}/root`, makeOutside(directory)]
    writeFileSync(`${outside}/directory/s`, 'not to be deleted')
    await (await open(root)).close()
    const before = snapshot(outside)
    const place = `${root}/.agent_state/tmp/listen`
    if (!plant(kind, place, outside)) return context.skip('this can not be made here')
    const store = await openStore({ root, workers: 1 })
    const warnings = record(store.events, 'warning')
    if (kind === 'directory with files') {
      await warnings.until(({ code }) => code === 'SOCKET_UNAVAILABLE')
      await store.init('n')
    } else {
      await expectReached(store, root)
      expect(existsSync(place)).toBe(false)
    }
    await store.close()
    expect(snapshot(outside)).toEqual(before)
  })

  test('in the place of the socket while the store is open stays when it is closed', async (context) => {
    const directory = temporaryDirectory()
    const [root, outside] = [`${directory}/root`, makeOutside(directory)]
    const store = await open(root)
    const connected = await connectStore({ root })
    if (!plant(kind, socketOf(root), outside)) return context.skip('this can not be made here')
    const before = snapshot(outside)
    const { ino } = lstatSync(socketOf(root))
    await refusal('NO_OWNER', () => connectStore({ root }))
    await (await connected.init('n')).write('k', 'by one who was connected before')
    await store.close()
    expect(lstatSync(socketOf(root)).ino).toBe(ino)
    expect(snapshot(outside)).toEqual(before)
  })
})

function longRoot(above: string, length: number): string {
  let root = above
  while (length - root.length > 200) root += `/${'d'.repeat(150)}`
  root += `/${'r'.repeat(length - root.length - 1)}`
  mkdirSync(root, { recursive: true })
  expect(root.length).toBe(length)
  return root
}

/** What this process has open of directories. */
function openDirectories(): string[] {
  if (process.platform !== 'linux') return []
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`)
      return statSync(`/proc/self/fd/${fd}`).isDirectory() && !path.startsWith('/proc') ? [path] : []
    } catch {
      return []
    }
  })
}

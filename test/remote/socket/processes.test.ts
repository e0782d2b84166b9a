/** Real processes on both sides of the socket, and what happens when one of them ends. */
import { connectStore, openStore, type Store } from 'agent-state'
import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { describe, expect, onTestFinished, test } from 'vitest'
import { nextTurn, refusal } from '../../../src/contract/observe.js'
import { temporaryDirectory } from '../../damage/support/temporary-directory.js'
import { startChild, type Child } from '../../hostile/support/child.js'

interface Talk {
  readonly child: Child
  readonly lines: string[]
  /** Resolves when so many lines begin like this; rejects if the process ends before. */
  said(beginning: string, count?: number): Promise<void>
}

function start(script: 'guest' | 'owner', ...args: readonly string[]): Talk {
  const child = startChild(new URL(`support/${script}.mjs`, import.meta.url), args)
  const lines: string[] = []
  const waiting = new Set<() => void>()
  void (async () => {
    for await (const line of child.lines) {
      lines.push(line)
      for (const look of waiting) look()
    }
  })()
  const said = (beginning: string, count = 1): Promise<void> => {
    const found = new Promise<void>((resolve) => {
      const look = (): void => {
        if (lines.filter((line) => line.startsWith(beginning)).length >= count) resolve()
      }
      waiting.add(look)
      look()
    })
    const ended = child.ended.then(({ code, signal }) => {
      throw new Error(
        `it ended (${code ?? signal}) before it said '${beginning}': ${lines.slice(-5).join(', ')}`,
      )
    })
    return Promise.race([found, ended])
  }
  return { child, lines, said }
}

async function open(root: string): Promise<Store> {
  const store = await openStore({ root, workers: 1 })
  onTestFinished(() => store.close({ flush: false }))
  return store
}

/** The last value of each key that was acknowledged, and what may be there beyond it. */
async function expectTold(store: Store, lines: readonly string[]): Promise<number> {
  const session = await store.resume('n')
  const acknowledged = new Map<string, number>()
  const unknown = new Map<string, number>()
  for (const line of lines) {
    const [what, key = '', value = '', code] = line.split(' ')
    if (what === 'acknowledged') acknowledged.set(key, Number(value))
    if (what === 'answered' && code === 'OUTCOME_UNKNOWN') unknown.set(key, Number(value))
  }
  for (const [key, value] of acknowledged) {
    expect([value, unknown.get(key)]).toContain(Number(await session.read(key)))
  }
  return acknowledged.size
}

describe('a process that is killed with calls under way', () => {
  test('loses none that was acknowledged, and holds up nobody', async () => {
    const root = temporaryDirectory()
    const store = await open(root)
    const guests = [start('guest', root, 'write', 'a'), start('guest', root, 'write', 'b')]
    await Promise.all(guests.map(({ said }) => said('acknowledged', 100)))
    guests[0]!.child.kill('SIGKILL')
    await guests[0]!.child.ended
    await guests[1]!.said('acknowledged', guests[1]!.lines.length + 100)
    guests[1]!.child.kill('SIGKILL')
    await guests[1]!.child.ended
    // What had reached the owner may be made after all: the next value at most.
    const session = await store.resume('n')
    for (const { lines } of guests) {
      const last = new Map(lines.slice(1).map((line) => line.split(' ').slice(1) as [string, string]))
      for (const [key, value] of last) {
        expect([Number(value), Number(value) + 1]).toContain(Number(await session.read(key)))
      }
    }
    while ((await store.metrics()).connections > 0) await nextTurn()
  })

  test('gives its turns back', async () => {
    const root = temporaryDirectory()
    const store = await open(root)
    const session = await store.init('n')
    await session.write('large', 'x'.repeat(100_000))
    const guest = start('guest', root, 'stop')
    await guest.said('stops')
    // It holds the turn of a key, and takes none of 50 MB; nobody else is held up by that.
    const other = await connectStore({ root })
    for (let round = 0; round < 100; round++) await (await other.resume('n')).write('other', `${round}`)
    const waiting = session.update('held', (text) => `${text} and one who waited`)
    guest.child.kill('SIGKILL')
    expect(await waiting).toMatchObject({ key: 'held' })
    expect(await session.read('held')).toBe('null and one who waited')
    await other.close()
  })
})

describe('an owner that ends', () => {
  test('by SIGKILL: every call of the others is answered, and nothing acknowledged is lost', async () => {
    const root = temporaryDirectory()
    const owner = start('owner', root, 'serve')
    await owner.said('open')
    const guests = [start('guest', root, 'write', 'a'), start('guest', root, 'write', 'b')]
    await Promise.all(guests.map(({ said }) => said('acknowledged', 100)))
    owner.child.kill('SIGKILL')
    await owner.child.ended
    for (const { child, lines } of guests) {
      expect(await child.ended).toEqual({ code: 0, signal: null })
      const answers = lines.filter((line) => line.startsWith('answered'))
      expect(answers).toHaveLength(16)
      for (const line of answers) expect(line).toMatch(/ (DISCONNECTED|OUTCOME_UNKNOWN)$/)
      expect(lines.at(-1)).toBe('state closed')
    }
    // The file is left, and leads nowhere until there is an owner again.
    expect(existsSync(`${root}/.agent_state/socket`)).toBe(true)
    await refusal('NO_OWNER', () => connectStore({ root }))
    const store = await open(root)
    const connected = await connectStore({ root })
    expect(
      await expectTold(
        connected,
        guests.flatMap(({ lines }) => lines),
      ),
    ).toBeGreaterThan(0)
    expect(await expectTold(store, [])).toBe(0)
    await connected.close()
  })

  test('by closing: who had something under way is told the truth', async () => {
    const root = temporaryDirectory()
    const owner = start('owner', root, 'close')
    await owner.said('open')
    const guest = start('guest', root, 'write', 'a')
    await guest.said('acknowledged', 100)
    owner.child.kill('SIGTERM')
    expect(await owner.child.ended).toEqual({ code: 0, signal: null })
    expect(owner.lines.at(-1)).toBe('closed')
    expect(await guest.child.ended).toEqual({ code: 0, signal: null })
    const answers = guest.lines.filter((line) => line.startsWith('answered'))
    expect(answers).toHaveLength(16)
    expect(existsSync(`${root}/.agent_state/socket`)).toBe(false)
    const store = await open(root)
    const session = await store.resume('n')
    // The owner has answered everything that had reached it; whoever has no time to listen may not hear that.
    for (const line of answers) {
      const [, key = '', value = '', code = ''] = line.split(' ')
      const found = Number(await session.read(key))
      if (code === 'DISCONNECTED') expect(found, key).toBe(Number(value) - 1)
      else
        expect([code, [Number(value), Number(value) - 1]]).toEqual([
          'OUTCOME_UNKNOWN',
          expect.arrayContaining([found]),
        ])
    }
  })
})

describe('I11: an owner that waits for its turn', () => {
  test('is there until it has come, though another process has it and the owner has nothing else to do', async () => {
    const root = temporaryDirectory()
    const owner = start('owner', root, 'update')
    await owner.said('open')
    const holder = start('guest', root, 'hold')
    await holder.said('holds')
    owner.child.kill('SIGUSR2')
    await owner.said('asks')
    // By the time that another process has started and is done, an owner that does not wait is gone.
    const other = start('guest', root, 'idle', 'other')
    await other.said('idle')
    holder.child.kill('SIGUSR2')
    expect(await holder.child.ended).toEqual({ code: 0, signal: null })
    expect(await owner.child.ended).toEqual({ code: 0, signal: null })
    expect(owner.lines.at(-1)).toBe('updated')
    const store = await open(root)
    expect(await (await store.resume('n')).read('held')).toBe('the guest, then the owner')
  })
})

describe('a process that has nothing to do', () => {
  test('ends, though it is connected, has subscriptions and a watch', async () => {
    const root = temporaryDirectory()
    const store = await open(root)
    const guest = start('guest', root, 'idle')
    expect(await guest.child.ended).toEqual({ code: 0, signal: null })
    expect(guest.lines.at(-1)).toBe('idle')
    expect(await (await store.resume('n')).read('guest/k0')).toBe('1')
  })

  test('ends, though others could connect to it', async () => {
    const root = temporaryDirectory()
    const owner = start('owner', root, 'idle')
    expect(await owner.child.ended).toEqual({ code: 0, signal: null })
    await open(root)
  })
})

const isRoot = process.getuid?.() === 0

describe('I10: another user', () => {
  // A process can be started as another user by root only.
  test.runIf(isRoot)('can not connect, even where the directories let everybody in', async () => {
    const above = mkdtempSync(`${tmpdir()}/agent-state-`)
    onTestFinished(() => rmSync(above, { recursive: true, force: true }))
    chmodSync(above, 0o777)
    for (const mode of [undefined, { file: 0o666, directory: 0o777 }]) {
      const root = `${above}/${mode === undefined ? 'private' : 'shared'}`
      const umask = process.umask(0)
      const store = await openStore({ root, workers: 1, ...(mode === undefined ? {} : { mode }) })
      process.umask(umask)
      onTestFinished(() => store.close())
      const stranger = spawn(
        process.execPath,
        [
          '-e',
          `const socket = require('node:net').connect(${JSON.stringify(`${root}/.agent_state/socket`)})
           socket.on('error', (error) => console.log(error.code)).on('connect', () => console.log('connected'))`,
        ],
        { uid: 65534, gid: 65534, cwd: '/', stdio: ['ignore', 'pipe', 'inherit'] },
      )
      let said = ''
      stranger.stdout.on('data', (chunk) => (said += String(chunk)))
      await once(stranger, 'close')
      expect(said).toBe('EACCES\n')
      const own = await connectStore({ root })
      await own.close()
    }
  })

  test.runIf(isRoot)('is told so, and does not even try the socket of somebody else', async () => {
    const above = mkdtempSync(`${tmpdir()}/agent-state-`)
    onTestFinished(() => rmSync(above, { recursive: true, force: true }))
    chmodSync(above, 0o777)
    const umask = process.umask(0)
    const mode = { file: 0o666, directory: 0o777 }
    const store = await openStore({ root: `${above}/root`, workers: 1, mode })
    process.umask(umask)
    onTestFinished(() => store.close())
    const said = await asNobody(`${above}/root`)
    expect(said).toBe('NOT_ALLOWED')
  })
})

/** What connecting gives in a process whose user is another one. */
async function asNobody(root: string): Promise<string> {
  const dist = JSON.stringify(new URL('../../../dist/index.js', import.meta.url).href)
  const script = `
    const { connectStore } = await import(${dist})
    process.setgid(65534)
    process.setuid(65534)
    try {
      await connectStore({ root: ${JSON.stringify(root)} })
      console.log('connected')
    } catch (error) {
      console.log(error.code)
    }`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: '/',
  })
  let said = ''
  child.stdout.on('data', (chunk) => (said += String(chunk)))
  await once(child, 'close')
  return said.trim()
}

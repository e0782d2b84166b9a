/**
 * SIGTERM, SIGINT and SIGHUP under load. The library installs no handlers, so by default the process ends as any other: at
 * once, and what was acknowledged is there when the root is opened again, which works at once. A handler that closes the
 * store loses nothing at all: every call has its answer, and the tree is up to date.
 */
import { readFileSync } from 'node:fs'
import { openStore } from 'agent-state'
import { describe, expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory } from '../damage/support/temporary-directory.js'
import { tortureSettings } from '../durability/support/settings.js'
import { startChild } from './support/child.js'

const isLong = tortureSettings().isLong
const SIGNALS = isLong ? (['SIGTERM', 'SIGINT', 'SIGHUP'] as const) : (['SIGTERM'] as const)
const ENOUGH = 300

interface Said {
  /** By line of work, the last value that was acknowledged. */
  readonly acknowledged: Map<string, number>
  readonly refusals: Set<string>
  readonly others: string[]
}

async function signalled(args: readonly string[], signal: NodeJS.Signals, again?: NodeJS.Signals) {
  const child = startChild('signal-victim.mjs', args)
  const said: Said = { acknowledged: new Map(), refusals: new Set(), others: [] }
  let acknowledgements = 0
  for await (const text of child.lines) {
    const [what, ...rest] = text.split(' ')
    if (what === 'acknowledged') said.acknowledged.set(rest[0]!, Number(rest[1]))
    else if (what === 'refused') said.refusals.add(rest.join(' '))
    else said.others.push(text)
    if (what === 'got' && again !== undefined) child.kill(again)
    if (what === 'acknowledged' && ++acknowledgements === ENOUGH) child.kill(signal)
  }
  return { said, end: await child.ended }
}

function valueOf(text: string | null): number {
  const value = Number(text?.split(' ')[0] ?? 0)
  if (text !== null) expect(text, 'a whole value').toBe(`${value} `.repeat(100))
  return value
}

async function expectThere(root: string, { acknowledged }: Said): Promise<void> {
  const store = await openStore({ root })
  onTestFinished(() => store.close())
  const session = await store.resume('n')
  for (const [line, value] of acknowledged) {
    const found = valueOf(await session.read(`k${line}`))
    // One more may have become durable without anybody knowing.
    expect([value, value + 1], `line ${line}`).toContain(found)
  }
}

describe.each(SIGNALS)('%s under load', (signal) => {
  test('I1, I10: ends the process at once; what was acknowledged is there, and opening works at once', async () => {
    const root = temporaryDirectory()
    const { said, end } = await signalled([root, 'default'], signal)
    expect(end).toEqual({ code: null, signal })
    await expectThere(root, said)
  })

  test('I1, I11: with a handler that closes, every call has its answer and the tree is up to date', async () => {
    const root = temporaryDirectory()
    const { said, end } = await signalled([root, 'close'], signal)
    expect(end).toEqual({ code: null, signal })
    expect(said.others).toEqual([`got ${signal}`, 'closed'])
    expect([...said.refusals]).toEqual(['STORE_CLOSED'])
    for (const [line, value] of said.acknowledged) {
      expect(valueOf(readFileSync(`${root}/n/k${line}`, 'utf8'))).toBe(value)
    }
    await expectThere(root, said)
  })
})

test.each(['default', 'close'])('a store with a thread of its own is no different: %s', async (onSignal) => {
  const root = temporaryDirectory()
  const { said, end } = await signalled([root, onSignal, 'own-thread'], 'SIGTERM')
  expect(end).toEqual({ code: null, signal: 'SIGTERM' })
  if (onSignal === 'close') expect(said.others).toEqual(['got SIGTERM', 'closed'])
  await expectThere(root, said)
})

test('a second signal while it closes ends it at once, and takes nothing back', async () => {
  const root = temporaryDirectory()
  const { said, end } = await signalled([root, 'close'], 'SIGTERM', 'SIGKILL')
  expect(end).toEqual({ code: null, signal: 'SIGKILL' })
  await expectThere(root, said)
})

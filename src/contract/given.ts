/**
 * What the tests of the contract start from. Owns the stores and backends of one run: one shared store whose tests each
 * use a namespace of their own (so that the suite is quick where opening is slow), and those opened for one test, which
 * are closed behind it.
 */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import type { Defaults, Session, Store } from '../api.js'
import type { Gap, StoreGapName, StoreOptions, StoreSetup } from './setup.js'

type Body = () => Promise<void> | void

/** Registers tests, and shows as skipped what a declared gap makes impossible. */
export interface Registrar<Name extends string> {
  test(title: string, body: Body): void
  testUnless(gap: Name | readonly Name[], title: string, body: Body): void
}

export function registrar<Name extends string>(gaps: readonly Gap<Name>[] | undefined): Registrar<Name> {
  const reasons = new Map((gaps ?? []).map((gap) => [gap.name, gap.reason]))
  return {
    test: (title, body) => void test(title, body),
    testUnless(gap, title, body) {
      const declared = (typeof gap === 'string' ? [gap] : gap).filter((name) => reasons.has(name))
      const why = declared.map((name) => `gap '${name}': ${reasons.get(name)}`).join('; ')
      if (declared.length === 0) test(title, body)
      else test.skip(`${title} (${why})`, body)
    },
  }
}

/** A gap that nobody knows would hide a spelling mistake; a missing `reopen` has to be said. */
export function checkGaps<Name extends string>(
  known: readonly Name[],
  gaps: readonly Gap<Name>[] | undefined,
  hasReopen: boolean,
): void {
  test('every gap is declared by a known name and with a reason', () => {
    for (const gap of gaps ?? []) {
      expect(known).toContain(gap.name)
      expect(gap.reason).toMatch(/\S/)
    }
    const declared = (gaps ?? []).some((gap) => gap.name === 'reopen')
    expect(hasReopen || declared, "without `reopen` the gap 'reopen' must be declared").toBe(true)
  })
}

type Sessions<Names extends readonly string[]> = { -readonly [I in keyof Names]: Session }

export interface Given extends Registrar<StoreGapName> {
  /** Shared by all tests, so use a namespace of your own. */
  store(): Store
  /** An anonymous session (unless told otherwise) in a new namespace of the shared store. */
  session(defaults?: Defaults): Promise<Session>
  /** Sessions with these writer ids, all in one new namespace of the shared store. */
  writers<const Names extends readonly string[]>(...names: Names): Promise<Sessions<Names>>
  /** A store for this test alone. */
  open(options?: StoreOptions): Promise<Store>
  /** Closes the store and opens its state again. */
  reopen(store: Store, options?: StoreOptions): Promise<Store>
}

export function givenStore(setup: StoreSetup): Given {
  let shared: Store | undefined
  beforeAll(async () => {
    shared = await setup.open()
  })
  afterAll(async () => {
    await shared?.close()
    await setup.cleanup?.()
  })
  const store = (): Store => {
    if (shared === undefined) throw new Error('the shared store is open only while tests run')
    return shared
  }
  const closedAfterwards = (opened: Store): Store => {
    onTestFinished(() => opened.close())
    return opened
  }
  return {
    ...registrar(setup.gaps),
    store,
    session: (defaults) => store().init(defaults),
    writers: (...names) => writersIn(store(), ...names),
    open: async (options) => closedAfterwards(await setup.open(options)),
    async reopen(previous, options) {
      if (setup.reopen === undefined) throw new Error('the setup has no `reopen`')
      await previous.close()
      return closedAfterwards(await setup.reopen(previous, options))
    },
  }
}

/** Sessions with these writer ids, all in one new namespace of the store. */
export async function writersIn<const Names extends readonly string[]>(
  store: Store,
  ...names: Names
): Promise<Sessions<Names>> {
  const { namespace } = await store.init()
  const sessions = names.map((writerId) => store.resume(namespace, { writer: { writerId } }))
  return (await Promise.all(sessions)) as Sessions<Names>
}

/** The next owner may have other limits than the last: what was called before is judged by those of whoever is asked. */
import { shareStore, type Session, type Store } from 'agent-state'
import { describe, expect, onTestFinished, test } from 'vitest'
import { refusal } from '../../src/contract/observe.js'
import { temporaryDirectory } from '../damage/support/temporary-directory.js'
import { HeldBackend } from '../helpers/held-backend.js'
import { hostRoot } from '../remote/socket/hosted-root.js'

const SMALL = {
  ...{ valueBytesMax: 100, keyBytesMax: 20, queueOperationsMax: 3, queueBytesMax: 150 },
  ...{ connectionOperationsMax: 10, connectionBytesMax: 1000 },
}
const LONG_KEY = 'k'.repeat(SMALL.keyBytesMax + 1)

/** An owner with these limits takes no message of so many bytes. */
const LARGE = 80 * 1024 * 1024

const calls: Readonly<Record<string, (session: Session) => unknown>> = {
  'a value': (session) => session.write('k', 'v'.repeat(101)),
  'a value that is longer than what may come from a connection': (session) =>
    session.write('k', new Uint8Array(LARGE)),
  'a batch': (session) => session.batch(['a', 'b', 'c', 'd'].map((key) => ({ delete: key }))),
  'the values of a batch': (session) =>
    session.batch(['a', 'b'].map((key) => ({ write: key, value: 'v'.repeat(80) }))),
  'the key of a write': (session) => session.write(LONG_KEY, ''),
  'the key of an update': (session) => session.update(LONG_KEY, () => ''),
  'a key that is read': (session) => session.read(LONG_KEY),
  'a key that is looked at': (session) => session.stat(LONG_KEY),
}

/** Calls while the first owner is closing, and is answered by the next: this process, or another one. */
const nextOwners: Readonly<Record<string, (root: string) => Promise<unknown>>> = {
  'this process': async () => {},
  'another process': async (root) => {
    // It takes the socket over, but for those who are connected.
    const owner = await hostRoot(new HeldBackend(), SMALL, root)
    onTestFinished(() => owner.close())
  },
}

for (const [who, start] of Object.entries(nextOwners)) {
  describe(`when the next owner is ${who}, with smaller limits,`, () => {
    for (const [what, call] of Object.entries(calls)) {
      test(`${what}: is refused, and everybody else's calls go on`, async () => {
        const root = temporaryDirectory()
        const first = await hostRoot(new HeldBackend(), { valueBytesMax: LARGE }, root)
        const store: Store = await shareStore({ root, workers: 1, limits: SMALL })
        onTestFinished(() => store.close({ flush: false }).catch(() => {}))
        const session = await store.init('n')
        await start(root)
        const closed = first.close()
        const created = store.init('n')
        const refused = refusal('LIMIT_EXCEEDED', () => call(session))
        const others = [session.write('before', ''), session.write('after', '')]
        expect(await refused).toMatchObject({ outcome: 'unchanged' })
        await Promise.all([closed, created, ...others])
        expect(await session.list()).toEqual(['after', 'before'])
        const again = await refusal('LIMIT_EXCEEDED', () => call(session))
        expect(again.message).toBe((await refused).message)
      })
    }
  })
}

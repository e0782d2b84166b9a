/**
 * A process with a small heap that makes a store work on far more than fits: values, keys, namespaces, watches and events that
 * nobody reads, and callers that come faster than the disk takes what they bring. Arguments: root, MiB to write.
 */
import { openStore } from 'agent-state'
import { say } from './say.mjs'

const [root = '', mib = '0'] = process.argv.slice(2)
const VALUE = 16 * 1024
const KEYS = 2000
const CALLERS = 64
const changes = (Number(mib) * 1024 * 1024) / VALUE

const MIB = 1024 * 1024
const limits = {
  cacheBytesMax: 4 * MIB,
  headBytesMax: MIB / 2,
  queueBytesMax: 4 * MIB,
  groupBytesMax: MIB,
  backlogKeysMax: 500,
  historyMax: 1000,
  eventBufferMax: 100,
  seenKeysMax: 1000,
}
const store = await openStore({ root, limits })
const sessions = await Promise.all(
  Array.from({ length: 20 }, (_, index) => store.init(`n${index}`, { writer: { writerId: `w${index}` } })),
)
const unread = sessions.map((session) => session.watch()[Symbol.asyncIterator]())
const events = store.events.iterate('change')[Symbol.asyncIterator]()

let drawn = 1
/** Always the same keys, in the same order. */
function someKey() {
  drawn = (drawn * 48_271) % 2_147_483_647
  return `deep/er/key-${drawn % KEYS}`
}

let next = 0
async function call() {
  while (next < changes) {
    const index = next++
    const session = sessions[index % sessions.length]
    if (session === undefined) throw new Error('no session')
    const key = someKey()
    await session.write(key, String.fromCharCode(97 + (index % 26)).repeat(VALUE))
    const other = await session.read(someKey())
    if (other !== null && other.length !== VALUE) throw new Error('a value is wrong')
    if (index % 10 === 0) await store.init(`other-${index}`)
  }
}
await Promise.all(Array.from({ length: CALLERS }, call))
let taken = 0
while ((await events.next()).value?.type !== 'lagged') taken++

/** @param {AsyncIterator<unknown>} watch */
async function readOn(watch) {
  try {
    while ((await watch.next()).done !== true);
    return 'ended'
  } catch (error) {
    return /** @type {{ code?: string }} */ (error).code
  }
}
const watches = await Promise.all(unread.map(readOn))
const rssMib = Math.round(process.resourceUsage().maxRSS / 1024)
say(JSON.stringify({ changes: next, taken, watches: [...new Set(watches)], rssMib }))
await store.close()
say('closed')

/** A program that opens a store in a thread of its own, and neither closes it nor waits for anything else. */
import { openStore } from 'agent-state'

const store = await openStore({ root: process.argv[2], ownThread: true })
const session = await store.init('n')
store.events.on('change', () => {})
void session.watch()[Symbol.asyncIterator]().next()
await session.write('k', 'written')

/**
 * A process that may open few files: many namespaces, watches and values at once. Says `works`, or the code of the error that
 * it ended with, and how many files of the root are left open. Arguments: root, namespaces, descriptors. Loading the package takes
 * more of them than using it, so they become few afterwards.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync, readlinkSync } from 'node:fs'
import { openStore } from 'agent-state'
import { say } from './say.mjs'

const [root = '', count = '0', limit = ''] = process.argv.slice(2)
const namespaces = Array.from({ length: Number(count) }, (_, index) => `namespace-${index}`)

async function work() {
  const store = await openStore({ root })
  try {
    const sessions = await Promise.all(namespaces.map((name) => store.init(name)))
    const watches = sessions.map((session) => session.watch()[Symbol.asyncIterator]())
    const changes = Promise.all(watches.map((watch) => watch.next()))
    await Promise.all(sessions.map((session) => session.write('deep/er/key', 'v')))
    await changes
    await store.flush()
    const other = await Promise.all(namespaces.map((name) => store.resume(name)))
    const values = await Promise.all(other.map((session) => session.readBytes('deep/er/key')))
    if (values.some((value) => value?.length !== 1)) throw new Error('a value is wrong')
    for (const watch of watches) await watch.return?.()
  } finally {
    await store.close()
  }
}

/** Files of the root that are open. */
function left() {
  const paths = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      // The one that the list itself was read with.
      return ''
    }
  })
  return paths.filter((path) => path.startsWith(root))
}

if (limit !== '') spawnSync('prlimit', ['--pid', String(process.pid), `--nofile=${limit}:`])
try {
  await work()
  say('works')
} catch (error) {
  say(`failed ${/** @type {{ code?: string }} */ (error).code}`)
}
say(`left open ${left().length}`)

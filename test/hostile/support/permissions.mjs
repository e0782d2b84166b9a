/**
 * A process that may not read or write what lies in one place of its root: which place, which permissions and when are its
 * arguments. It says what it was answered, as JSON, and puts everything back before the end.
 */
import { chmodSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { openStore } from '../../../dist/index.js'

const [root, place, mode, moment] = process.argv.slice(2)
const path = resolve(root, place)
const answers = {}

async function ask(name, act) {
  try {
    const value = await act()
    answers[name] = typeof value === 'string' || value === null ? value : 'done'
    return value
  } catch (error) {
    answers[name] = `${error.code}/${error.outcome}`
    return null
  }
}

async function open() {
  const store = await openStore({ root, limits: { spaceWaitMs: 1 } })
  store.events.on('warning', () => {})
  return store
}

const first = await open()
for (const namespace of ['agent', 'other']) {
  const session = await first.init(namespace)
  for (const key of ['a', 'd/x', 'bystander']) await session.write(key, `old ${key}`)
}
await first.close()

let store = moment === 'open' ? await open() : null
const before = statSync(path).mode
chmodSync(path, Number.parseInt(mode, 8))
store ??= await ask('open', open)
if (store !== null) {
  for (const namespace of ['agent', 'other']) {
    const session = await ask(`${namespace} resume`, () => store.resume(namespace))
    if (session === null) continue
    await ask(`${namespace} list`, () => session.list())
    for (const key of ['a', 'd/x', 'bystander']) {
      await ask(`${namespace} read ${key}`, () => session.read(key))
      await ask(`${namespace} write ${key}`, () => session.write(key, `new ${key}`))
      await ask(`${namespace} read back ${key}`, () => session.read(key))
    }
    await ask(`${namespace} delete`, () => session.delete('d/x'))
  }
  await ask('flush', () => store.flush())
  await ask('close', () => store.close())
}

chmodSync(path, before)
const last = await open()
for (const namespace of ['agent', 'other']) {
  const session = await last.resume(namespace)
  for (const key of ['a', 'd/x', 'bystander'])
    await ask(`${namespace} at last ${key}`, () => session.read(key))
}
await ask('last close', () => last.close())
process.stdout.write(JSON.stringify(answers))

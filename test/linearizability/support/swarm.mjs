/**
 * A process in which agents of the main thread and of several worker threads work on one store, until it is killed or has
 * done its rounds. Threads are ended in the middle of their work, and others take their place. What was asked and answered
 * is noted in a file that all threads append to. Says a dot on its output for every so many calls.
 */
import { openSync, writeSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { openStore } from 'agent-state'
import { agent } from './agent.mjs'
import { generator } from './generator.mjs'

/** @typedef {import('./history.js').Note} Note */

/**
 * @typedef {object} SwarmJob
 * @property {string} root
 * @property {string} notes
 * @property {number} era
 * @property {number} seed
 * @property {number} rounds calls of each agent
 * @property {number} threads
 * @property {boolean} ownThread
 */

export const NAMESPACES = ['one', 'two']
const CALLS_PER_DOT = 10
const THREADS_MAX = 40

/** @param {string} path @returns {(note: Note) => void} */
export function noteTo(path) {
  const fd = openSync(path, 'a')
  return (note) => void writeSync(fd, `${JSON.stringify(note)}\n`)
}

/** The same clock for all threads of a machine, in nanoseconds. */
export function now() {
  return Number(process.hrtime.bigint())
}

/**
 * @param {import('../../../src/api.js').Session} base
 * @param {string} name
 * @param {Omit<import('./agent.mjs').AgentSettings, 'name' | 'session' | 'detect'>} rest
 * @param {boolean} isAnonymous
 */
export function agentOn(base, name, rest, isAnonymous = false) {
  const writerId = ['ann', 'ben', 'cid'][Math.floor(rest.random() * 3)]
  const detect = rest.random() < 0.7 ? 'lost-update' : 'writer-change'
  const session = base.with({ writer: isAnonymous ? {} : { writerId, workerId: name } })
  return agent({ name, session, detect, ...rest })
}

/** @param {string} subscriber @param {number} era @param {(note: Note) => void} note */
export function noteEvents(store, subscriber, era, note) {
  store.events.on('change', ({ namespace, key, kind, revision, writer }) => {
    note({ note: 'event', subscriber, namespace, era, key, kind, revision, writer })
  })
  store.events.on('failed', ({ error }) => note({ note: 'unexpected', message: String(error) }))
}

/** @param {SwarmJob} job */
async function swarm(job) {
  const { root, era, seed, rounds, ownThread } = job
  const note = noteTo(job.notes)
  const store = await openStore({ root, ownThread })
  noteEvents(store, `main thread of ${era}`, era, note)
  const context = { era, note, now }
  const bases = []
  for (const namespace of NAMESPACES) bases.push(await store.init(namespace))
  // What the kill before left, before anybody changes anything.
  for (const [index, base] of bases.entries()) {
    const name = `look-${era}-${index}`
    await agentOn(base, name, { ...context, random: generator(seed) }, true).lookAround()
  }

  let calls = 0
  const called = () => {
    if (++calls % CALLS_PER_DOT === 0) writeSync(1, '.')
  }
  const work = bases.flatMap((base, index) =>
    [false, false, index === 0].map(async (isAnonymous, number) => {
      const name = `main-${era}-${index}-${number}`
      const random = generator(seed + era * 1000 + index * 100 + number)
      const one = agentOn(base, name, { ...context, random }, isAnonymous)
      for (let round = 0; round < rounds; round++) {
        await one.act()
        called()
      }
    }),
  )
  const endThreads = startThreads(store, job, called)
  await Promise.all(work)
  await endThreads()
  for (const [index, base] of bases.entries()) {
    await agentOn(base, `last-${era}-${index}`, { ...context, random: generator(seed) }).mark()
  }
  await store.close()
}

/**
 * Keeps worker threads at work: some are ended before they are done, each is replaced. The function that it returns lets
 * those that run come to their end.
 * @param {SwarmJob} job
 */
function startThreads(store, job, called) {
  const random = generator(job.seed + job.era)
  /** @type {Promise<void>[]} */
  const ends = []
  let isEnding = false

  function startOne() {
    const { seed, era, notes, rounds } = job
    const name = `thread-${era}-${ends.length}`
    const port = store.createPort()
    const worker = new Worker(new URL('./swarm-thread.mjs', import.meta.url), {
      workerData: { port, name, seed: seed + ends.length, era, notes, rounds },
      transferList: [port],
    })
    let callsLeft = random() < 0.7 ? 1 + Math.floor(random() * 300) : Infinity
    worker.on('message', () => {
      called()
      if (--callsLeft === 0 && !isEnding) void worker.terminate()
    })
    const end = new Promise((resolve, reject) => {
      worker.once('error', reject)
      worker.once('exit', () => {
        // In a process that lives long there would be ever more of them.
        if (!isEnding && ends.length < THREADS_MAX) startOne()
        resolve()
      })
    })
    ends.push(end)
  }

  while (ends.length < job.threads) startOne()
  return async () => {
    isEnding = true
    await Promise.all(ends)
  }
}

if (process.argv[2] !== undefined) await swarm(JSON.parse(process.argv[2]))

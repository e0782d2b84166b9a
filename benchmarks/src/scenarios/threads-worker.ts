import { parentPort, workerData } from 'node:worker_threads'
import { prepareThread, type ThreadJob } from './threads.js'

const port = parentPort!
const measure = await prepareThread(workerData as ThreadJob)
const begin = new Promise((resolve) => port.once('message', resolve))
port.postMessage('warm')
await begin
port.postMessage(await measure())

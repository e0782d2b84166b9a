import { parentPort, workerData } from 'node:worker_threads'
import { measureThread, type ThreadJob } from './threads.js'

parentPort!.postMessage(await measureThread(workerData as ThreadJob))

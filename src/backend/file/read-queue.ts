/**
 * ReadQueue owns the reads that wait for a worker, whatever namespace they are of, and the questions that they answer.
 *
 * - Two tasks are under way at once; what is asked for while all are goes together with the next one.
 * - What waits is spread over the tasks that can begin, in the order in which it was asked for.
 * - What a task leaves for later, since its answer is large already, goes to the front again (I9).
 * - When a task fails, each of its reads is tried alone: whoever asks for something else is not told of a failure.
 */
import { Queue } from '../../queue.js'
import type { ReadAnswer } from '../backend.js'

export interface TreeRead {
  readonly namespace: string
  readonly key: string
}

/** An answer for the first ones, at least one; none for the others, which are asked for again. */
type ReadTogether = (reads: readonly TreeRead[]) => Promise<readonly ReadAnswer[]>

/** The thread has one to run, and finds the next one when it is done. */
const TASKS_MAX = 2
/** Of one task. Fewer than the least are not spread: handing over a task takes as long as they do. */
const READS_MIN = 16
const READS_MAX = 64

/** Owns the answers for one caller until all are there. */
interface Question {
  readonly answers: ReadAnswer[]
  missing: number
  hasFailed: boolean
  resolve(answers: readonly ReadAnswer[]): void
  reject(error: unknown): void
}

interface Waiting extends TreeRead {
  readonly question: Question
  readonly index: number
  /** In a task of its own, since one of several has failed. */
  readonly isAlone: boolean
}

export class ReadQueue {
  readonly #readTogether: ReadTogether
  readonly #waiting = new Queue<Waiting>()
  #underWay = 0
  #scheduled = false

  constructor(readTogether: ReadTogether) {
    this.#readTogether = readTogether
  }

  /** One answer a key, in order. */
  read(namespace: string, keys: readonly string[]): Promise<readonly ReadAnswer[]> {
    if (keys.length === 0) return Promise.resolve([])
    return new Promise((resolve, reject) => {
      const question: Question = { answers: [], missing: keys.length, hasFailed: false, resolve, reject }
      keys.forEach((key, index) => this.#waiting.push({ namespace, key, question, index, isAlone: false }))
      this.#schedule()
    })
  }

  /** Not at once: other namespaces may be asked for in the same turn. */
  #schedule(): void {
    if (this.#scheduled || this.#underWay === TASKS_MAX) return
    this.#scheduled = true
    queueMicrotask(() => {
      this.#scheduled = false
      this.#begin()
    })
  }

  #begin(): void {
    while (this.#underWay < TASKS_MAX && this.#waiting.length > 0) {
      const share = Math.max(READS_MIN, Math.ceil(this.#waiting.length / (TASKS_MAX - this.#underWay)))
      void this.#run(this.#next(Math.min(share, READS_MAX)))
    }
  }

  /** Of the reads that somebody still waits for. */
  #next(count: number): Waiting[] {
    const next: Waiting[] = []
    while (next.length < count && this.#waiting.length > 0) {
      const { isAlone, question } = this.#waiting.peek()!
      if (isAlone && next.length > 0) break
      const read = this.#waiting.shift()!
      if (!question.hasFailed) next.push(read)
      if (isAlone) break
    }
    return next
  }

  #putBack(reads: readonly Waiting[]): void {
    for (const read of reads.toReversed()) this.#waiting.unshift(read)
  }

  async #run(reads: readonly Waiting[]): Promise<void> {
    if (reads.length === 0) return
    this.#underWay++
    try {
      const answers = await this.#readTogether(reads)
      this.#putBack(reads.slice(answers.length))
      answers.forEach((answer, index) => settle(reads[index]!, answer))
    } catch (error) {
      // One of them may have been too much for the task; the others have nothing to do with it.
      if (reads.length === 1) fail(reads[0]!.question, error)
      else this.#putBack(reads.map((read) => ({ ...read, isAlone: true })))
    }
    this.#underWay--
    this.#begin()
  }
}

function fail(question: Question, error: unknown): void {
  question.hasFailed = true
  question.reject(error)
}

function settle({ question, index }: Waiting, answer: ReadAnswer): void {
  question.answers[index] = answer
  question.missing--
  if (question.missing === 0) question.resolve(question.answers)
}

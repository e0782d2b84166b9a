/**
 * GitObjects owns one `git cat-file` process that answers a stream of questions in their order, and the questions that
 * have no answer yet. How many there are is bounded by those who ask. Every question gets an answer: when the process
 * ends, those that are left reject (I11).
 */
import { startGit, type GitCommand } from './git-command.js'
import { InputError, messageOf } from './input-error.js'

export interface GitObject {
  /** In bytes. */
  readonly size: number
  /** Empty if only sizes were asked for. */
  readonly bytes: Uint8Array
}

interface Question {
  readonly id: string
  readonly resolve: (object: GitObject) => void
  readonly reject: (error: Error) => void
}

const NEW_LINE = 0x0a
const NOTHING = Buffer.alloc(0)

export class GitObjects {
  readonly #command: GitCommand
  readonly #withContents: boolean
  readonly #questions: Question[] = []
  #unread: Buffer[] = []
  #unreadBytes = 0
  /** How many bytes must have come before it is worth looking at them again. */
  #neededBytes = 1
  #ended: Error | null = null

  constructor(repository: string, mode: 'contents' | 'sizes') {
    this.#withContents = mode === 'contents'
    this.#command = startGit(repository, ['cat-file', this.#withContents ? '--batch' : '--batch-check'])
    this.#command.stdout.on('data', (chunk: Buffer) => this.#take(chunk))
    this.#command.done.then(
      () => this.#end(new InputError('git cat-file ended')),
      (error: unknown) => this.#end(new InputError(messageOf(error), { cause: error })),
    )
  }

  get(id: string): Promise<GitObject> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== null) return reject(this.#ended)
      this.#questions.push({ id, resolve, reject })
      this.#command.stdin.write(`${id}\n`)
    })
  }

  close(): void {
    this.#command.stdin.end()
    this.#end(new InputError('git cat-file was closed'))
  }

  #end(reason: Error): void {
    this.#ended ??= reason
    for (const { reject } of this.#questions.splice(0)) reject(this.#ended)
  }

  #take(chunk: Buffer): void {
    this.#unread.push(chunk)
    this.#unreadBytes += chunk.length
    if (this.#unreadBytes < this.#neededBytes) return
    let data = this.#unread.length === 1 ? chunk : Buffer.concat(this.#unread)
    for (let answer = this.#parse(data); answer !== null; answer = this.#parse(data)) {
      data = data.subarray(answer)
    }
    this.#unread = [data]
    this.#unreadBytes = data.length
  }

  /** Gives the first answer in `data` to who asked; the answer's length, or null if there is no whole one. */
  #parse(data: Buffer): number | null {
    this.#neededBytes = data.length + 1
    const headerEnd = data.indexOf(NEW_LINE)
    if (headerEnd === -1) return null
    const [, type, sizeText] = data.toString('latin1', 0, headerEnd).split(' ')
    const contentStart = headerEnd + 1
    if (sizeText === undefined) {
      const question = this.#questions.shift()
      question?.reject(new InputError(`git object ${question.id} is ${type}`))
      return contentStart
    }
    const size = Number(sizeText)
    if (!this.#withContents) {
      this.#questions.shift()?.resolve({ size, bytes: NOTHING })
      return contentStart
    }
    const end = contentStart + size + 1
    this.#neededBytes = end
    if (data.length < end) return null
    // A copy: a small content must not keep the large buffer that it arrived in.
    const bytes = Uint8Array.from(data.subarray(contentStart, end - 1))
    this.#questions.shift()?.resolve({ size, bytes })
    return end
  }
}

/**
 * NamespaceSpellings owns, for a file system that takes several names for one, under which spelling each namespace is in use:
 * from before its creation is committed until its files are gone. Two spellings would share a directory. It stands between
 * those who load and commit namespaces and the tree and journal.
 */
import { stateError, type AgentStateError } from '../../errors.js'
import type { Backend, CommitOutcome, Plan } from '../backend.js'

export interface SpelledParts {
  readonly source: Pick<Backend, 'namespaces' | 'load'>
  readonly commits: Pick<Backend, 'commit'>
  /** Resolves when a removal that is under way has ended, one way or the other. */
  readonly materializer: { untilRemoved(namespace: string): Promise<void> }
}

export class NamespaceSpellings {
  readonly #fold: (name: string) => string
  readonly #parts: SpelledParts
  /** Folded name → the spelling that is in use. */
  readonly #used = new Map<string, string>()
  /** How many creations of a namespace are being committed. */
  readonly #underWay = new Map<string, number>()

  constructor(fold: (name: string) => string, parts: SpelledParts) {
    this.#fold = fold
    this.#parts = parts
  }

  async start(): Promise<void> {
    for (const name of await this.#parts.source.namespaces()) this.#use(name)
  }

  async load(namespace: string): ReturnType<Backend['load']> {
    const { source } = this.#parts
    await this.#untilFree(namespace)
    const loaded = await source.load(namespace)
    if (loaded.exists && !this.#isUsed(namespace)) {
      // Somebody made the directory, under this spelling or another one.
      const folded = this.#fold(namespace)
      const found = (await source.namespaces()).find((name) => this.#fold(name) === folded)
      if (found !== undefined) this.#use(found)
    }
    const other = this.#otherThan(namespace)
    if (other !== null) throw sharedDirectory(namespace, other)
    return loaded
  }

  /** Commits the plans, but none that would make a namespace in the directory of another one. */
  async commit(plans: readonly Plan[]): Promise<readonly CommitOutcome[]> {
    for (const plan of plans) if (isCreation(plan)) await this.#untilFree(plan.namespace)
    const outcomes: CommitOutcome[] = []
    const taken: { readonly plan: Plan; readonly index: number; readonly wasUsed: boolean }[] = []
    plans.forEach((plan, index) => {
      const { namespace } = plan
      const other = isCreation(plan) ? this.#otherThan(namespace) : null
      if (other !== null) {
        outcomes[index] = { status: 'rejected', error: sharedDirectory(namespace, other) }
        return
      }
      taken.push({ plan, index, wasUsed: this.#isUsed(namespace) })
      if (isCreation(plan)) this.#begin(namespace)
    })
    if (taken.length === 0) return outcomes
    const answers = await this.#parts.commits.commit(taken.map(({ plan }) => plan))
    taken.forEach(({ plan, index, wasUsed }, at) => {
      const answer = answers[at]!
      outcomes[index] = answer
      if (!isCreation(plan)) return
      this.#end(plan.namespace)
      if (answer.status === 'rejected' && !wasUsed) this.release(plan.namespace)
    })
    return outcomes
  }

  /** There are no files of the namespace any more. */
  release(name: string): void {
    // It may be about to be made again.
    if (this.#isUsed(name) && !this.#underWay.has(name)) this.#used.delete(this.#fold(name))
  }

  async #untilFree(name: string): Promise<void> {
    const other = this.#otherThan(name)
    if (other !== null) await this.#parts.materializer.untilRemoved(other)
  }

  #isUsed(name: string): boolean {
    return this.#used.get(this.#fold(name)) === name
  }

  #otherThan(name: string): string | null {
    const used = this.#used.get(this.#fold(name))
    return used === undefined || used === name ? null : used
  }

  #use(name: string): void {
    this.#used.set(this.#fold(name), name)
  }

  #begin(name: string): void {
    this.#use(name)
    this.#underWay.set(name, (this.#underWay.get(name) ?? 0) + 1)
  }

  #end(name: string): void {
    const left = this.#underWay.get(name)! - 1
    if (left === 0) this.#underWay.delete(name)
    else this.#underWay.set(name, left)
  }
}

function isCreation(plan: Plan): boolean {
  return plan.units.some(({ kind }) => kind === 'create')
}

function sharedDirectory(namespace: string, other: string): AgentStateError {
  const message = `namespace '${namespace}' would share the directory of namespace '${other}'`
  return stateError('INVALID_NAMESPACE', message, { namespace })
}

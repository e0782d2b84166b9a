/**
 * NamespaceSpellings owns, for a file system that takes several names for one, under which spelling each namespace is in use:
 * from before its creation is committed until its files are gone. Two spellings would share a directory.
 */
import { stateError, type AgentStateError } from '../../errors.js'
import type { CommitOutcome, Plan } from '../backend.js'

export class NamespaceSpellings {
  readonly #fold: (name: string) => string
  readonly #used = new Map<string, string>()
  /** How many creations of a namespace are being committed. */
  readonly #underWay = new Map<string, number>()

  constructor(fold: (name: string) => string, names: Iterable<string>) {
    this.#fold = fold
    for (const name of names) this.use(name)
  }

  isSame(one: string, other: string): boolean {
    return this.#fold(one) === this.#fold(other)
  }

  isUsed(name: string): boolean {
    return this.#used.get(this.#fold(name)) === name
  }

  /** The other spelling that is in use. */
  otherThan(name: string): string | null {
    const used = this.#used.get(this.#fold(name))
    return used === undefined || used === name ? null : used
  }

  use(name: string): void {
    this.#used.set(this.#fold(name), name)
  }

  /** There are no files of the namespace, unless it is being made just now. */
  release(name: string): void {
    if (this.isUsed(name) && !this.#underWay.has(name)) this.#used.delete(this.#fold(name))
  }

  /** Commits the plans, but none that would make a namespace in the directory of another one. */
  async commit(
    plans: readonly Plan[],
    commit: (plans: readonly Plan[]) => Promise<readonly CommitOutcome[]>,
  ): Promise<readonly CommitOutcome[]> {
    const outcomes: CommitOutcome[] = []
    const taken: { readonly plan: Plan; readonly index: number; readonly wasUsed: boolean }[] = []
    plans.forEach((plan, index) => {
      const { namespace } = plan
      const other = isCreation(plan) ? this.otherThan(namespace) : null
      if (other !== null) {
        outcomes[index] = { status: 'rejected', error: sharedDirectory(namespace, other) }
        return
      }
      taken.push({ plan, index, wasUsed: this.isUsed(namespace) })
      if (isCreation(plan)) this.#begin(namespace)
    })
    if (taken.length === 0) return outcomes
    const answers = await commit(taken.map(({ plan }) => plan))
    taken.forEach(({ plan, index, wasUsed }, at) => {
      const answer = answers[at]!
      outcomes[index] = answer
      if (!isCreation(plan)) return
      this.#end(plan.namespace)
      if (answer.status === 'rejected' && !wasUsed) this.release(plan.namespace)
    })
    return outcomes
  }

  #begin(name: string): void {
    this.use(name)
    this.#underWay.set(name, (this.#underWay.get(name) ?? 0) + 1)
  }

  #end(name: string): void {
    const left = this.#underWay.get(name)! - 1
    if (left === 0) this.#underWay.delete(name)
    else this.#underWay.set(name, left)
  }
}

export function isCreation(plan: Plan): boolean {
  return plan.units.some(({ kind }) => kind === 'create')
}

export function sharedDirectory(namespace: string, other: string): AgentStateError {
  const message = `namespace '${namespace}' would share the directory of namespace '${other}'`
  return stateError('INVALID_NAMESPACE', message, { namespace })
}

/**
 * What may be left of one namespace after a kill: the operations up to some point, in their order, with everything that
 * was acknowledged among them. KillExpectation owns the model of the namespace and moves it on to that point.
 */
import type { Session } from '../../src/api.js'
import { collect } from '../../src/contract/observe.js'
import { operationAt, type KillOperation } from '../fixtures/kill-operations.mjs'
import type { Said } from './killed-writer.js'
import { NamespaceModel, type ModelSession } from './model.js'

/** What takes effect at once: `remove` followed by `init` are two. */
type Effect = { readonly index: number } & (
  | { readonly kind: 'init' }
  | { readonly kind: 'remove' }
  | { readonly kind: 'change'; readonly operation: Extract<KillOperation, { readonly kind: 'change' }> }
)

/** Key → value and writer; null where the namespace is missing. */
export type Observed = ReadonlyMap<string, { readonly text: string; readonly revision: number }> | null

export class KillExpectation {
  readonly namespace: string
  readonly #model = new NamespaceModel()
  readonly #seed: number
  #highestRevision = 0

  constructor(namespace: string, seed: number) {
    this.namespace = namespace
    this.#seed = seed
    this.#model.exists = false
  }

  /** Moves the model on to what was observed. Throws where that is nothing the writer can have left. */
  advance(first: number, said: Said, observed: Observed): void {
    const effects = this.#effects(first, said)
    const certain = effects.findLastIndex((effect) => this.#isAcknowledged(effect, said)) + 1
    for (const effect of effects.slice(0, certain)) this.#apply(effect)
    let ahead = certain
    while (!this.#matches(observed)) {
      if (ahead === effects.length) throw new Error(this.#difference(observed, certain))
      this.#apply(effects[ahead]!)
      ahead += 1
    }
    this.#checkRevisions(said, effects.slice(0, certain), observed)
  }

  #effects(first: number, said: Said): Effect[] {
    const effects: Effect[] = [{ index: -1, kind: 'init' }]
    const end = first + said.acknowledged.size + said.refused.size + said.inFlight
    for (let index = first; index < end; index += 1) {
      const operation = operationAt(this.#seed, index)
      if (operation.namespace !== this.namespace) continue
      if (operation.kind === 'remove') effects.push({ index, kind: 'remove' }, { index, kind: 'init' })
      else effects.push({ index, kind: 'change', operation })
    }
    return effects
  }

  #isAcknowledged({ index }: Effect, said: Said): boolean {
    return index === -1 ? said.made.has(this.namespace) : said.acknowledged.has(index)
  }

  #apply(effect: Effect): void {
    if (effect.kind === 'init') this.#model.exists = true
    else if (effect.kind === 'remove') this.#model.remove()
    else {
      const session: ModelSession = {
        writer: effect.operation.writer,
        detect: 'lost-update',
        policy: 'ignore',
        seen: new Map(),
      }
      const { changes } = effect.operation
      if (this.#model.judge(session, changes).kind === 'accepted')
        this.#model.apply(session, changes, effect.index)
    }
  }

  #matches(observed: Observed): boolean {
    if (observed === null || !this.#model.exists) return observed === null && !this.#model.exists
    if (observed.size !== this.#model.entries.size) return false
    for (const [key, { value, writer }] of this.#model.entries) {
      if (observed.get(key)?.text !== `${writer}: ${value}`) return false
    }
    return true
  }

  /** Entries that an acknowledged operation wrote last have its revision; revisions never fall. */
  #checkRevisions(said: Said, certain: readonly Effect[], observed: Observed): void {
    const before = this.#highestRevision
    for (const { index, kind } of certain) {
      const revision = said.acknowledged.get(index) ?? 0
      if (kind !== 'change' || revision === 0) continue
      if (revision <= before)
        throw new Error(`revision ${revision} was given again (up to ${before} was given before)`)
      this.#highestRevision = Math.max(this.#highestRevision, revision)
    }
    for (const [key, { revision: index }] of this.#model.entries) {
      const acknowledged = said.acknowledged.get(index)
      const { revision } = observed!.get(key)!
      if (acknowledged !== undefined && acknowledged !== revision) {
        throw new Error(`key '${key}' was acknowledged as revision ${acknowledged} and is ${revision}`)
      }
      this.#highestRevision = Math.max(this.#highestRevision, revision)
    }
  }

  #difference(observed: Observed, certain: number): string {
    const short = (text: string): string => text.slice(0, 30)
    const found =
      observed === null ? 'no namespace' : [...observed].map(([key, { text }]) => `${key} = ${short(text)}`)
    return `namespace '${this.namespace}': found ${String(found)}, which is no state after the ${certain} acknowledged effects`
  }
}

export async function observe(session: Session): Promise<Map<string, { text: string; revision: number }>> {
  const entries = await collect(session.entries())
  return new Map(
    entries.map(({ key, value, writer, revision }) => {
      const text = `${writer?.writerId}: ${new TextDecoder('utf-8', { fatal: true }).decode(value)}`
      return [key, { text, revision }]
    }),
  )
}

import type { Overwrite } from './messages.js'
import type { Outline } from './outline.js'
import type { Plan, Totals } from './plan.js'
import type { Supervised } from './supervisor.js'
import type { Verification } from './verify.js'

/** What a replay ends with, in the form that `--json` prints. */
export interface Report {
  /** Nothing was lost, every conflict was as the history has it, and the files are those of its head. */
  readonly ok: boolean
  readonly history: {
    readonly source: string
    readonly commits: number
    readonly merges: number
    readonly authors: number
    readonly namespaces: number
  }
  /** A temporary one is gone if all is well. */
  readonly root: string
  readonly seed: number
  /** What the whole history comes to: one batch for each commit and namespace that it touches. */
  readonly planned: Totals
  /** That the agents lived in; 0: the store's own. */
  readonly threads: number
  readonly seconds: number
  /** Writes and deletes a second, starts and kills included. */
  readonly writesPerSecond: number
  /** Batches that the store had acknowledged before each kill. */
  readonly kills: readonly number[]
  readonly acknowledged: {
    readonly batches: number
    /** Durable when the process was killed, which had not said so yet. */
    readonly foundDurable: number
    readonly lost: number
    readonly problems: readonly string[]
    /** How many times a file was compared with the history after a kill. */
    readonly filesCompared: number
  }
  readonly overwrites: {
    /** That the store reported. */
    readonly reported: number
    /** In batches found durable, whose reports went down with the process; taken from the history. */
    readonly unreported: number
    readonly pairs: readonly Pair[]
    /** Where the store reported something else than the history has. */
    readonly wrong: readonly string[]
  }
  /** Paths of the history that no key can hold; they were left out. */
  readonly skipped: readonly string[]
  /** Null: the replay did not come to its end. */
  readonly verification: Verification | null
  readonly failure: string | null
}

/** Two authors of whom at least one overwrote what it had not seen of the other. */
export interface Pair {
  readonly authors: readonly [string, string]
  readonly overwrites: number
  /** Of them by the first author; the others are by the second. */
  readonly byFirst: number
  /** With their namespaces. */
  readonly keys: readonly string[]
}

export interface ReportInput {
  readonly source: string
  readonly root: string
  readonly seed: number
  readonly outline: Outline
  readonly plan: Plan
  readonly skipped: readonly string[]
  readonly supervised: Supervised
  readonly threads: number
  readonly seconds: number
  readonly verification: Verification | null
}

export function makeReport(input: ReportInput): Report {
  const { outline, plan, supervised, verification, seconds } = input
  const { ledger, kills, failure } = supervised
  const clean = ledger.losses.length === 0 && ledger.wrongConflicts.length === 0 && ledger.open === 0
  return {
    ok: clean && failure === null && verification !== null && verification.differences.length === 0,
    history: {
      source: input.source,
      commits: outline.commits,
      merges: outline.merges,
      authors: outline.authors,
      namespaces: plan.batches.size,
    },
    root: input.root,
    seed: input.seed,
    planned: plan.totals,
    threads: input.threads,
    seconds,
    writesPerSecond: seconds === 0 ? 0 : Math.round(ledger.operations / seconds),
    kills,
    acknowledged: {
      batches: ledger.acknowledged,
      foundDurable: ledger.foundDurable,
      lost: ledger.losses.length,
      problems: ledger.losses.map(
        ({ namespace, commit, problem }) => `commit ${commit} in ${namespace} ${problem}`,
      ),
      filesCompared: ledger.audited,
    },
    overwrites: {
      reported: ledger.overwrites.length,
      unreported: ledger.unreportedOverwrites.length,
      pairs: pairAuthors([...ledger.overwrites, ...ledger.unreportedOverwrites]),
      wrong: ledger.wrongConflicts,
    },
    skipped: input.skipped,
    verification,
    failure,
  }
}

const NOBODY = '(deleted)'

/** The pairs with most overwrites first. */
export function pairAuthors(overwrites: readonly Overwrite[]): Pair[] {
  const pairs = new Map<
    string,
    { authors: [string, string]; byFirst: number; total: number; keys: Set<string> }
  >()
  for (const { namespace, key, by, over } of overwrites) {
    const other = over ?? NOBODY
    const authors: [string, string] = by < other ? [by, other] : [other, by]
    const name = JSON.stringify(authors)
    const pair = pairs.get(name) ?? { authors, byFirst: 0, total: 0, keys: new Set<string>() }
    pair.total += 1
    if (authors[0] === by) pair.byFirst += 1
    pair.keys.add(`${namespace}/${key}`)
    pairs.set(name, pair)
  }
  return Array.from(pairs.values(), ({ authors, byFirst, total, keys }) => {
    return { authors, overwrites: total, byFirst, keys: [...keys].toSorted() }
  }).toSorted((one, other) => other.overwrites - one.overwrites)
}

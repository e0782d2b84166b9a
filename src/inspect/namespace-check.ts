/** Checks all entries of a namespace, and the metadata that belong to none. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { NamespaceBacklog } from '../backend/file/backlog.js'
import { META_DIRECTORY } from '../names.js'
import { checkEntry, keyOfMetadata, type CheckedEntry, type TreeRules } from './entry-check.js'
import { finding, type Finding } from './finding.js'
import { problem, type Report } from './store-files.js'
import { listNamespaceFiles } from './tree-walk.js'

/** Where the root has an owner: resolves when its files show what was acknowledged before. Null: it can't be asked. */
export type Settle = (() => Promise<void>) | null

export interface NamespaceCheck {
  readonly rules: TreeRules
  readonly backlog: NamespaceBacklog | null
  /** Undefined: nobody writes. */
  readonly settle: Settle | undefined
  readonly signal: AbortSignal
  readonly report: Report
  readonly onProgress: (done: number, total: number) => void
}

export interface CheckedNamespace {
  readonly keys: number
  readonly bytes: number
}

/** Work between two turns of the event loop. */
const TURN_MS = 10

export async function checkNamespace(namespace: string, check: NamespaceCheck): Promise<CheckedNamespace> {
  const { rules, backlog, signal, report, onProgress } = check
  const files = listNamespaceFiles(rules.root, namespace, report)
  let bytes = 0
  let done = 0
  let turnEnd = performance.now() + TURN_MS
  for (const key of files.keys) {
    const checked = checkEntry(rules, namespace, key, backlog)
    bytes += checked.bytes
    if (checked.found !== null) {
      const settled = await settledFinding(namespace, key, checked, check)
      if (settled !== null) report(settled)
    }
    done++
    if (performance.now() < turnEnd) continue
    onProgress(done, files.keys.length)
    await nextTurn()
    signal.throwIfAborted()
    turnEnd = performance.now() + TURN_MS
  }
  // While it is open, metadata and contents come and go one after the other.
  if (check.settle === undefined) reportOrphans(namespace, new Set(files.keys), files.metadata, check)
  return { keys: files.keys.length, bytes }
}

const LOOKS = 5

/**
 * While the owner writes, an entry's two files may be of different moments. What is still the same after the owner has
 * brought its files up to date is true; what changes with every look is asked for again.
 */
async function settledFinding(
  namespace: string,
  key: string,
  first: CheckedEntry,
  { rules, backlog, settle }: NamespaceCheck,
): Promise<Finding | null> {
  if (settle === undefined || first.found === null || first.found.kind === 'unreadable') return first.found
  const unclear = finding('unclear', first.found.part, first.found.path, first.found.message, {
    ...{ namespace, key, advice: 'verify again when nobody has the root open' },
  })
  if (settle === null) return unclear
  let before = first
  for (let look = 0; look < LOOKS; look++) {
    try {
      await settle()
    } catch {
      // It has keys whose files can't be written, or it went away; the caller's signal is asked between the keys.
      return unclear
    }
    const now = checkEntry(rules, namespace, key, backlog)
    if (now.found === null || now.identity === before.identity) return now.found
    before = now
  }
  return unclear
}

function reportOrphans(
  namespace: string,
  keys: ReadonlySet<string>,
  metadata: readonly string[],
  { rules, backlog, report }: NamespaceCheck,
): void {
  for (const file of metadata) {
    const path = `${namespace}/${META_DIRECTORY}/${file}`
    try {
      const key = keyOfMetadata(rules.root, namespace, file)
      if (key !== null && (keys.has(key) || backlog?.entries.has(key) === true)) continue
      if (backlog !== null && backlog.change !== null) continue
      if (key === null) report(finding('ignored', 'metadata', path, 'it belongs to no key'))
      else
        report(
          finding(
            'changed',
            'content',
            `${namespace}/${key}`,
            'its content is gone, its metadata are there',
            {
              ...{ namespace, key, advice: 'if nobody has deleted it: restore the file from a copy' },
            },
          ),
        )
    } catch (error) {
      report(problem(error, 'metadata', path, '', { namespace }))
    }
  }
}

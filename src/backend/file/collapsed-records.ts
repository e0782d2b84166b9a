/**
 * CollapsedRecords owns what was read of the journal until it is handed over: of each key the latest record alone, and the
 * contents that it had before in eight bytes each. A full journal of small rewrites has millions of records, and handing
 * every one to another thread takes a hundred times as long as reading them.
 *
 * What is given out has the effect of all records in their order (I6): a namespace's creation and removal keep their place.
 */
import { KnownContents } from './known-contents.js'
import type { JournalRecord } from './tasks.js'

type Body<K extends JournalRecord['body']['kind']> = Extract<JournalRecord['body'], { kind: K }>

interface Collapsed {
  latest: JournalRecord & { readonly body: Body<'write' | 'delete'> }
  /** Null as long as there is one record only. */
  earlier: KnownContents | null
}

export class CollapsedRecords {
  readonly #done: JournalRecord[] = []
  /** Since the last creation or removal of each namespace, by key. */
  readonly #open = new Map<string, Map<string, Collapsed>>()
  #count = 0

  /** Records that were added. */
  get count(): number {
    return this.#count
  }

  add(record: JournalRecord): void {
    this.#count++
    const { namespace, body } = record
    if (body.kind === 'write' || body.kind === 'delete') {
      this.#addOfKey({ ...record, body })
    } else if (body.kind === 'superseded') {
      const collapsed = this.#open.get(namespace)?.get(body.key)
      if (collapsed === undefined) this.#done.push(record)
      else (collapsed.earlier ??= new KnownContents()).addPacked(body.contents)
    } else {
      this.#finishNamespace(namespace)
      this.#done.push(record)
    }
  }

  /** What there is; nothing is added afterwards. */
  finish(): readonly JournalRecord[] {
    for (const namespace of [...this.#open.keys()]) this.#finishNamespace(namespace)
    return this.#done
  }

  /** The revision tells which record is the latest: one that was carried on may come behind a later one. */
  #addOfKey(record: Collapsed['latest']): void {
    const { namespace, revision, body } = record
    let keys = this.#open.get(namespace)
    if (keys === undefined) {
      keys = new Map()
      this.#open.set(namespace, keys)
    }
    const collapsed = keys.get(body.key)
    if (collapsed === undefined) {
      keys.set(body.key, { latest: record, earlier: null })
      return
    }
    const isLatest = revision >= collapsed.latest.revision
    const superseded = isLatest ? collapsed.latest : record
    if (superseded.body.kind === 'write') (collapsed.earlier ??= new KnownContents()).add(superseded.body)
    if (isLatest) collapsed.latest = record
  }

  #finishNamespace(namespace: string): void {
    const keys = this.#open.get(namespace)
    if (keys === undefined) return
    this.#open.delete(namespace)
    for (const { latest, earlier } of keys.values()) {
      this.#done.push(latest)
      if (earlier === null) continue
      const body = { kind: 'superseded', key: latest.body.key, contents: earlier.packed() } as const
      this.#done.push({ namespace, revision: latest.revision, atMs: latest.atMs, body })
    }
  }
}

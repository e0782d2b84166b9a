/** Small steps of the tests of `watch`. */
import type { Session, WatchItem, WatchOptions } from '../../api.js'
import { iteratorOf } from '../observe.js'

export function start(session: Session, options?: WatchOptions): AsyncIterator<WatchItem> {
  return iteratorOf(session.watch(options))
}

export type ChangeItem = Extract<WatchItem, { readonly type: 'initial' | 'change' }>

export function brief(items: readonly WatchItem[]): string[] {
  return items.map((item) => (item.type === 'ready' ? 'ready' : `${item.type} ${item.kind} ${item.key}`))
}

/** The revisions of the keys that are left when the items are applied in their order. */
export function replay(items: readonly WatchItem[], state = new Map<string, number>()): Map<string, number> {
  for (const item of items) {
    if (item.type === 'ready') continue
    if (item.kind === 'delete') state.delete(item.key)
    else state.set(item.key, item.revision)
  }
  return state
}

export async function stateOf(session: Session): Promise<Map<string, number>> {
  const state = new Map<string, number>()
  for await (const entry of session.entries()) state.set(entry.key, entry.revision)
  return state
}

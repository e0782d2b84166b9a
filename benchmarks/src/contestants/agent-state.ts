import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { openStore, type Session, type Store } from 'agent-state'
import type { Contestant, Opened, Settings } from './contestant.js'

/** Every caller writes under an identity of its own; the conflict rule is the default one. */
export const agentState: Contestant = {
  name: 'agent-state',
  about: 'this library, defaults; every caller with a writer identity of its own, conflict detection on',
  open: async (folder, settings) => {
    const { backlogBytesMax } = settings
    const limits = backlogBytesMax === undefined ? {} : { backlogBytesMax }
    return openedStore(await openStore({ root: folder, limits }), folder, settings)
  },
}

/** The same callers on a store that is open, or on a connection to it. */
export async function openedStore(
  store: Store,
  folder: string,
  { namespaces, callers }: Pick<Settings, 'namespaces' | 'callers'>,
): Promise<Opened> {
  const anonymous: Session[] = []
  for (let i = 0; i < namespaces; i++) anonymous.push(await store.init(`n${i}`))
  const sessions: (Session | undefined)[] = []
  sessions.length = namespaces * callers
  return {
    write: (caller, namespace, key, value) => {
      const place = caller * namespaces + namespace
      const session = (sessions[place] ??= anonymous[namespace]!.with({
        writer: { writerId: `agent-${caller}` },
      }))
      return session.write(key, value)
    },
    read: (namespace, key) => anonymous[namespace]!.readBytes(key),
    drain: () => store.flush(),
    close: () => store.close({ flush: false }),
    journalBytes: () => bytesIn(join(folder, '.agent_state', 'journal')),
  }
}

async function bytesIn(folder: string): Promise<number> {
  let bytes = 0
  for (const name of await readdir(folder)) {
    const found = await stat(join(folder, name)).catch(() => null)
    bytes += found?.size ?? 0
  }
  return bytes
}

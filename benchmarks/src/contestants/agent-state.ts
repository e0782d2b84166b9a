import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { openStore, type Limits, type Session, type Store } from 'agent-state'
import type { Contestant, Opened, Settings } from './contestant.js'

/** Every caller writes under an identity of its own; the conflict rule is the default one. */
export const agentState: Contestant = {
  name: 'agent-state',
  about: 'this library, defaults; every caller with a writer identity of its own, conflict detection on',
  open: (folder, settings) => openWith(folder, settings, {}),
}

const SMALL_MIB = 16

/** For whoever would rather have the memory. */
export const agentStateSmallCaches: Contestant = {
  name: 'agent-state small caches',
  about: `as agent-state, but values and heads in memory take ${SMALL_MIB} MiB each at most (by default 64)`,
  open: (folder, settings) => {
    const bytesMax = SMALL_MIB * 1024 * 1024
    return openWith(folder, settings, { cacheBytesMax: bytesMax, headBytesMax: bytesMax })
  },
}

async function openWith(folder: string, settings: Settings, limits: Partial<Limits>): Promise<Opened> {
  const { backlogBytesMax } = settings
  const all = backlogBytesMax === undefined ? limits : { ...limits, backlogBytesMax }
  return openedStore(await openStore({ root: folder, limits: all }), folder, settings)
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

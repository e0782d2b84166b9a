/** A store without files whose owner is reached through a socket in a directory, as that of a root is. */
import { mkdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { OpenOptions, Store } from '../../../src/api.js'
import type { Backend } from '../../../src/backend/backend.js'
import { checkOpenOptions } from '../../../src/open-options.js'
import type { PortHost } from '../../../src/remote/port-host.js'
import { SocketServer } from '../../../src/remote/socket/socket-server.js'
import { LocalStore } from '../../../src/store.js'
import { StoreHandle } from '../../../src/store-handle.js'

export interface HostedRoot {
  readonly root: string
  readonly store: Store
  readonly ports: PortHost
  readonly failures: readonly unknown[]
  /** Ends the store, and then the socket, as the owner of a root does. */
  close(): Promise<void>
  /** Ends all connections without a word, as a killed owner does. */
  cut(): void
}

export async function hostRoot(
  backend: Backend,
  limits: OpenOptions['limits'] = {},
  given?: string,
): Promise<HostedRoot> {
  const root = given ?? (await mkdtemp(join(tmpdir(), 'agent-state-')))
  mkdirSync(join(root, '.agent_state/tmp'), { recursive: true })
  const settings = checkOpenOptions({ backend, limits })
  const local = new LocalStore(settings)
  await local.open(undefined)
  const failures: unknown[] = []
  const sockets = new SocketServer({
    root,
    limits: settings.limits,
    createPort: () => local.ports.createPort(undefined),
    onFailure: (error) => failures.push(error),
  })
  sockets.listen()
  const store = new StoreHandle(local.parts, settings.defaults)
  return {
    root,
    store,
    ports: local.ports,
    failures,
    async close() {
      sockets.stopListening()
      await store.close()
      await sockets.finish()
      if (given === undefined) await rm(root, { recursive: true, force: true })
    },
    cut: () => sockets.cut(),
  }
}

/** A store in this thread with a view on its ports, and connections to it. */
import { onTestFinished } from 'vitest'
import type { Defaults, PortBounds, Store } from '../../src/api.js'
import { nextTurn } from '../../src/contract/observe.js'
import type { Coordinator } from '../../src/coordinator/coordinator.js'
import type { Limits } from '../../src/limits.js'
import { checkOpenOptions } from '../../src/open-options.js'
import { connectStore } from '../../src/remote/connect.js'
import type { PortHost } from '../../src/remote/port-host.js'
import { LocalStore } from '../../src/store.js'
import { StoreHandle } from '../../src/store-handle.js'
import { HeldBackend } from '../helpers/held-backend.js'

export interface Hosted {
  readonly backend: HeldBackend
  readonly store: Store
  readonly ports: PortHost
  readonly coordinator: Coordinator
  connect(bounds?: PortBounds, defaults?: Defaults): Promise<Store>
}

export async function hosted(limits: Partial<Limits> = {}): Promise<Hosted> {
  const backend = new HeldBackend()
  const settings = checkOpenOptions({ backend, limits })
  const local = new LocalStore(settings)
  await local.open(undefined)
  const store = new StoreHandle(local.parts, settings.defaults)
  onTestFinished(() => store.close())
  return {
    backend,
    store,
    ports: local.ports,
    coordinator: local.parts.host as Coordinator,
    async connect(bounds, defaults) {
      const connected = await connectStore(store.createPort(bounds), defaults)
      // A test that closes it itself looks at how that ends.
      onTestFinished(() => connected.close({ flush: false }).catch(() => {}))
      return connected
    },
  }
}

/** Goes on when it is so; turns of the event loop pass meanwhile. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await nextTurn()
}

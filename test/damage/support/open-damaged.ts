/** Opening a root that was damaged, and what must hold of it whatever the damage was. */
import { expect } from 'vitest'
import type { acquireRootLock } from '../../../src/backend/file/root-lock.js'
import { AgentStateError, type Code } from '../../../src/errors.js'
import type { EventMap } from '../../../src/api.js'
import { fastBackend, type LeftRoot } from './left-root.js'
import { openRecorded, showDisk, showStore, type Shown } from './shown.js'

export type Outcome =
  | {
      readonly kind: 'opened'
      readonly shown: Shown
      readonly external: readonly EventMap['external'][]
      readonly warnings: readonly EventMap['warning'][]
    }
  | { readonly kind: 'refused'; readonly error: AgentStateError & { readonly path?: string } }

/**
 * Opens the root, looks at everything and closes it. A refusal must have changed nothing on the disk, and the lock must be
 * free again in any case.
 */
export async function openDamaged(root: string): Promise<Outcome> {
  const lock = new CountedLock()
  const outcome = await openAndLook(root, lock)
  expect(lock.held, 'the root is let go of').toBe(0)
  return outcome
}

/** In the place of the real one, which starts a process each time. */
class CountedLock {
  held = 0

  readonly acquire = (): ReturnType<typeof acquireRootLock> => {
    this.held++
    return Promise.resolve({ release: () => void this.held-- })
  }
}

async function openAndLook(root: string, lock: CountedLock): Promise<Outcome> {
  const before = showDisk(root)
  try {
    const backend = fastBackend(root, { acquireLock: lock.acquire })
    const { store, external, warnings } = await openRecorded(backend)
    try {
      const shown = await showStore(store)
      return { kind: 'opened', shown, external, warnings }
    } finally {
      await store.close()
    }
  } catch (error) {
    if (!AgentStateError.is(error)) throw error
    expect(error.outcome).toBe('unchanged')
    expect(showDisk(root), 'an opening that fails changes nothing').toEqual(before)
    return { kind: 'refused', error }
  }
}

/** The store shows all that it had shown, and has nothing to say. */
export function expectUnaffected(outcome: Outcome, left: LeftRoot): void {
  if (outcome.kind === 'refused') throw new Error('opening was refused', { cause: outcome.error })
  expect(outcome.shown).toEqual(left.shown)
  expect({ external: outcome.external, warnings: outcome.warnings }).toEqual({ external: [], warnings: [] })
}

export interface Refusal {
  readonly code: Code
  readonly path: string
  readonly offset?: number
}

export function expectRefused(outcome: Outcome, expected: Refusal): void {
  if (outcome.kind === 'opened') throw new Error('the damage went unnoticed')
  expect(outcome.error).toMatchObject(expected)
  expect(outcome.error.message).toContain(expected.path)
}

/** With the store's own files as they were the root shows all that it had shown. */
export async function expectRepairable(root: string, left: LeftRoot): Promise<void> {
  left.repair(root, '.agent_state')
  expectUnaffected(await openDamaged(root), left)
}

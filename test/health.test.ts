import { describe, expect, test } from 'vitest'
import { healthOf } from '../src/health.js'
import { Histogram, type HistogramCounts } from '../src/histogram.js'
import type { BackendMetrics, HeldUpdate, StoreMetrics } from '../src/metrics.js'

const NOTHING = new Histogram(1).counts()

type Parts = Partial<Omit<StoreMetrics, 'backend'>> & { readonly backend?: Partial<BackendMetrics> | null }

function metricsOf({ backend = {}, ...parts }: Parts): StoreMetrics {
  return {
    uptimeMs: 1,
    writes: 0,
    deletes: 0,
    refused: 0,
    conflicts: { ignore: 0, warn: 0, error: 0 },
    groupOperations: NOTHING,
    commitMs: NOTHING,
    commitWaitMs: 0,
    queueWaitMs: NOTHING,
    queue: { operations: 0, bytes: 0 },
    reads: { memory: 0, backend: 0 },
    events: { missed: 0, untold: 0, waiting: 0 },
    updates: { held: 0, waiting: 0, longestMs: 0, holders: [] },
    connections: 0,
    backend: backend && {
      journalBytes: 0,
      appendMs: NOTHING,
      syncMs: NOTHING,
      recentSyncMs: NOTHING,
      noRoomMs: 0,
      backlogKeys: 0,
      backlogBytes: 0,
      backlogFill: 0,
      stuckKeys: 0,
      materializingMs: 0,
      materialized: 0,
      ...backend,
    },
    ...parts,
  }
}

const problemsOf = (parts: Parts): readonly string[] => healthOf('open', metricsOf(parts)).problems

function slowSyncs(): HistogramCounts {
  const slow = new Histogram(0.01)
  slow.record(900)
  return slow.counts()
}

function held(parts: Partial<HeldUpdate>): Parts {
  const usual = { namespace: 'n', key: 'k', writer: null, isConnected: false, waiting: 0 }
  const one = { ...usual, heldMs: 0, sinceMs: Date.UTC(2026, 10, 23, 4, 10), ...parts }
  return { updates: { held: 1, waiting: one.waiting, longestMs: one.heldMs, holders: [one] } }
}

describe('the health of a store', () => {
  test('is ok where nothing is wrong, with a backend that counts and one that does not', () => {
    for (const backend of [{}, null])
      expect(healthOf('open', metricsOf({ backend }))).toEqual({ status: 'ok', problems: [] })
  })

  test('is failed after a failed sync, and says the way back, and what else is wrong', () => {
    const { status, problems } = healthOf('failed', metricsOf({ backend: { stuckKeys: 1 } }))
    expect(status).toBe('failed')
    expect(problems).toEqual([
      expect.stringContaining('close it and open it again'),
      expect.stringMatching(/^1 key can't/),
    ])
  })

  test('is degraded by stuck keys, a full backlog, a slow or full disk, and dropped events, each in words', () => {
    const backend = {
      stuckKeys: 2,
      backlogFill: 0.95,
      backlogKeys: 77,
      recentSyncMs: slowSyncs(),
      noRoomMs: 2500,
    }
    const events = { missed: 9, untold: 5, waiting: 2 }
    const { status, problems } = healthOf('open', metricsOf({ backend, events }))
    expect(status).toBe('degraded')
    expect(problems).toEqual([
      expect.stringMatching(/^the disk is full: .* no room for 3 s;/),
      expect.stringContaining('took 900 ms'),
      expect.stringMatching(/^2 keys can't be brought into the tree/),
      expect.stringContaining('77 keys behind'),
      expect.stringMatching(/^5 events were dropped/),
    ])
  })

  test('has nothing to say of what is over: slow syncs and dropped events that count in the totals only', () => {
    expect(
      problemsOf({ backend: { syncMs: slowSyncs() }, events: { missed: 9, untold: 0, waiting: 0 } }),
    ).toEqual([])
  })

  test('says for how long a commit has been waiting, once that is long, and for whom', () => {
    expect(problemsOf({ commitWaitMs: 999 })).toEqual([])
    expect(problemsOf({ commitWaitMs: 1000 })).toEqual([
      'a commit group has been waiting for the disk for 1 s',
    ])
    const queue = { operations: 3, bytes: 10 }
    expect(problemsOf({ commitWaitMs: 119_000, queue, backend: null })).toEqual([
      'a commit group has been waiting for the backend for 119 s, and 3 operations wait behind it',
    ])
    expect(problemsOf({ commitWaitMs: 600_000 })[0]).toContain('for 10 min')
  })

  test('says that a worker hangs once it has taken long', () => {
    expect(problemsOf({ backend: { materializingMs: 29_999, backlogKeys: 2 } })).toEqual([])
    expect(problemsOf({ backend: { materializingMs: 30_000, backlogKeys: 2 } })).toEqual([
      'the tree is 2 keys behind, and a worker has been at it for 30 s: it hangs, or its disk does',
    ])
  })

  test('says who holds a key, sooner where others wait for it', () => {
    expect(problemsOf(held({ heldMs: 9999, waiting: 3 }))).toEqual([])
    expect(problemsOf(held({ heldMs: 59_999 }))).toEqual([])
    expect(problemsOf(held({ heldMs: 60_000 }))).toEqual([
      "an update by somebody without a name holds 'k' in namespace 'n' for 60 s, since 2026-11-23T04:10:00.000Z: nobody waits for it",
    ])
    const connected = { writer: { writerId: 'ann' }, isConnected: true, heldMs: 10_000 }
    expect(problemsOf(held({ ...connected, waiting: 1 }))).toEqual([
      "an update by 'ann' in another thread or process holds 'k' in namespace 'n' for 10 s, since 2026-11-23T04:10:00.000Z: 1 other waits for it",
    ])
    expect(problemsOf(held({ ...connected, waiting: 2 }))[0]).toMatch(/: 2 others wait for it$/)
  })
})

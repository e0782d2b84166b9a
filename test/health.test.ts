import { describe, expect, test } from 'vitest'
import { healthOf } from '../src/health.js'
import { Histogram } from '../src/histogram.js'
import type { BackendMetrics, StoreMetrics } from '../src/metrics.js'

const NOTHING = new Histogram(1).counts()

function metricsOf(backend: Partial<BackendMetrics> | null, missed = 0): StoreMetrics {
  return {
    uptimeMs: 1,
    writes: 0,
    deletes: 0,
    refused: 0,
    conflicts: { ignore: 0, warn: 0, error: 0 },
    groupOperations: NOTHING,
    commitMs: NOTHING,
    queueWaitMs: NOTHING,
    queue: { operations: 0, bytes: 0 },
    reads: { memory: 0, backend: 0 },
    events: { missed, waiting: 0 },
    connections: 0,
    backend: backend && {
      journalBytes: 0,
      appendMs: NOTHING,
      syncMs: NOTHING,
      backlogKeys: 0,
      backlogBytes: 0,
      backlogFill: 0,
      stuckKeys: 0,
      materialized: 0,
      ...backend,
    },
  }
}

describe('the health of a store', () => {
  test('is ok where nothing is wrong, with a backend that counts and one that does not', () => {
    for (const backend of [{}, null]) {
      expect(healthOf('open', metricsOf(backend))).toEqual({ status: 'ok', problems: [] })
    }
  })

  test('is failed after a failed sync, and says the way back', () => {
    const { status, problems } = healthOf('failed', metricsOf({}))
    expect(status).toBe('failed')
    expect(problems[0]).toContain('close it and open it again')
  })

  test('is degraded by stuck keys, a full backlog, a slow disk, and dropped events, each in words', () => {
    const slow = new Histogram(0.01)
    slow.record(900)
    const backend = { stuckKeys: 2, backlogFill: 0.95, backlogKeys: 77, syncMs: slow.counts() }
    const { status, problems } = healthOf('open', metricsOf(backend, 5))
    expect(status).toBe('degraded')
    expect(problems).toEqual([
      expect.stringMatching(/^2 keys can't be brought into the tree/),
      expect.stringContaining('77 keys behind'),
      expect.stringContaining('took 900 ms'),
      expect.stringMatching(/^5 events were dropped/),
    ])
  })
})

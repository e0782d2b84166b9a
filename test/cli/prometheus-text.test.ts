import { expect, test } from 'vitest'
import { prometheusText } from '../../src/cli/prometheus-text.js'
import { memoryBackend } from '../../src/backend/memory.js'
import { openStore } from '../../src/store.js'

async function textOf(backendFill: number | null): Promise<string[]> {
  const store = await openStore({ backend: memoryBackend() })
  const session = await store.init('n', { writer: { writerId: 'ann' } })
  await session.write('a', '1')
  await session.with({ writer: { writerId: 'ben' } }).write('a', '2')
  const metrics = await store.metrics()
  await store.close()
  const backend =
    backendFill === null
      ? null
      : {
          journalBytes: 100,
          appendMs: metrics.commitMs,
          syncMs: metrics.commitMs,
          recentSyncMs: metrics.commitMs,
          noRoomMs: 0,
          backlogKeys: 1,
          backlogBytes: 2,
          backlogFill: backendFill,
          stuckKeys: 3,
          materializingMs: 0,
          materialized: 4,
        }
  return prometheusText({ ...metrics, backend }).split('\n')
}

test('every line is a help, a type, or a sample of the family above it, and ends the text with a line feed', async () => {
  const lines = await textOf(0.5)
  expect(lines.at(-1)).toBe('')
  let family = ''
  for (const line of lines.slice(0, -1)) {
    const type = /^# TYPE (agent_state_[a-z_]+) (counter|gauge|histogram)$/.exec(line)
    if (type !== null) family = type[1]!
    else if (!line.startsWith('# HELP ')) {
      expect(line).toMatch(/^agent_state_[a-z_]+(\{[a-z]+="[^"]+"\})? [0-9.e+-]+$/)
      expect(line.startsWith(family)).toBe(true)
    }
  }
})

test('counts, labels, and buckets that end with all', async () => {
  const lines = await textOf(0.5)
  expect(lines).toContain('agent_state_writes_total 2')
  expect(lines).toContain('agent_state_conflicts_total{policy="ignore"} 1')
  expect(lines).toContain('agent_state_backlog_fill_ratio 0.5')
  const count = lines.find((line) => line.startsWith('agent_state_group_operations_count'))!.split(' ')[1]
  expect(lines).toContain(`agent_state_group_operations_bucket{le="+Inf"} ${count}`)
})

test('a backend that counts nothing has no lines', async () => {
  expect((await textOf(null)).filter((line) => line.includes('journal'))).toEqual([])
})

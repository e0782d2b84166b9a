/**
 * The origin's tree and ours. The fixtures are written by hand from what the origin was seen to do; `Origin` reads a tree
 * as the origin's code does, and takes no notice of anything that is ours.
 */
import { existsSync, readFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { nodeFileSystem } from '../../../src/backend/file/file-system.js'
import type { TreeOperation } from '../../../src/backend/file/tasks.js'
import { readEntries, readHeads, scanNamespace } from '../../../src/backend/file/tree-reader.js'
import { materialize } from '../../../src/backend/file/tree-writer.js'
import { AT_MS, AT_S, TreeFixture } from './tree-fixture.js'

const META = 'ns/.agent_state_meta'
let tree: TreeFixture

beforeEach(() => {
  tree = new TreeFixture()
})
afterEach(() => tree.remove())

/** As serde prints the origin's metadata: its fields in order, absent ids left out, no newline at the end. */
function originMetadata(ids: Record<string, string>, updatedAt: number): string {
  const lines = Object.entries(ids).map(([name, id]) => `    "${name}": "${id}"`)
  return `{\n  "writer": {\n${lines.join(',\n')}\n  },\n  "updated_at": ${updatedAt}\n}`
}

describe('a tree that the origin wrote', () => {
  beforeEach(() => {
    tree.put('ns/plan.md', '# Plan\n', 1_700_000_000_000)
    tree.put(
      `${META}/plan.md.json`,
      originMetadata({ writer_id: 'w', stage_id: 's', session_id: 'x', worker_id: 'k' }, AT_S),
    )
    tree.put('ns/evidence/a.json', '{"a":1}')
    tree.put(`${META}/evidence/a.json.json`, originMetadata({ writer_id: 'planner' }, 1))
    tree.put('ns/anonymous', '')
    tree.put(`ns/..agent_state_tmp.01995a4e-0000-7000-8000-000000000000`, 'half')
    tree.put('ns/.agent_state_meta/.plan.md.json..agent_state_tmp.01995a4e-0000-7000-8000-000000000001', '{')
  })

  test('is listed without its leftovers', () => {
    const answer = scanNamespace(nodeFileSystem, {
      kind: 'scan-namespace',
      context: tree.context,
      namespace: 'ns',
    })
    expect([...answer.keys].sort()).toEqual(['anonymous', 'evidence/a.json', 'plan.md'])
  })

  test('is read with the identities stored there, as external entries', () => {
    const keys = ['plan.md', 'evidence/a.json', 'anonymous']
    const task = { context: tree.context, namespace: 'ns', ceiling: 0, epoch: 1 }
    const external = { revision: 1, anonymous: true, external: true, fingerprint: expect.any(String) }
    const heads = readHeads(nodeFileSystem, { kind: 'heads', keys, ...task })
    expect(heads).toEqual([
      {
        status: 'found',
        head: {
          ...external,
          writer: { writerId: 'w', stageId: 's', sessionId: 'x', workerId: 'k' },
          writerAtS: AT_S,
          size: 7,
          updatedAtMs: 1_700_000_000_000,
        },
      },
      {
        status: 'found',
        head: {
          ...external,
          writer: { writerId: 'planner' },
          writerAtS: 1,
          size: 7,
          updatedAtMs: expect.any(Number),
        },
      },
      {
        status: 'found',
        head: { ...external, writer: null, writerAtS: null, size: 0, updatedAtMs: expect.any(Number) },
      },
    ])
    const entries = keys.map((key) => ({ namespace: task.namespace, key }))
    const { bytes } = readEntries(nodeFileSystem, { kind: 'read', entries, ...task })
    expect(Buffer.from(bytes).toString()).toBe('# Plan\n{"a":1}')
  })

  test('keeps an identity verbatim through an anonymous write', () => {
    const writer = { writerId: 'w', stageId: 's', sessionId: 'x', workerId: 'k' }
    const operation = tree.write('plan.md', 'changed', { writer, writerAtS: AT_S, anonymous: true })
    expect(materialize(nodeFileSystem, tree.task([operation])).failures).toEqual([])
    const before = originMetadata({ writer_id: 'w', stage_id: 's', session_id: 'x', worker_id: 'k' }, AT_S)
    expect(tree.text(`${META}/plan.md.json`)?.startsWith(before.slice(0, -2))).toBe(true)
  })
})

describe('a tree that we wrote', () => {
  /** What the origin leaves in the end: content, and metadata where somebody named wrote. */
  const operations: readonly (readonly [TreeOperation['kind'], string, string, Record<string, string>])[] = [
    ['write', 'plan.md', 'one', { writer_id: 'a' }],
    ['write', 'evidence/deep/a.json', '{}', { writer_id: 'b', worker_id: 'b' }],
    ['write', 'evidence/gone', 'x', { writer_id: 'b' }],
    ['write', 'pruned/away/k', 'x', { writer_id: 'b' }],
    ['write', '.hidden', 'h', { writer_id: 'c' }],
    ['write', 'plan.md', 'two', { writer_id: 'c', stage_id: 's' }],
    ['delete', 'evidence/gone', '', {}],
    ['delete', 'pruned/away/k', '', {}],
    ['delete', 'never/there', '', {}],
  ]
  const left = {
    'plan.md': ['two', { writer_id: 'c', stage_id: 's' }],
    'evidence/deep/a.json': ['{}', { writer_id: 'b', worker_id: 'b' }],
    '.hidden': ['h', { writer_id: 'c' }],
  } as const

  beforeEach(() => {
    for (const [kind, key, value, ids] of operations) {
      const writer = { writerId: ids['writer_id'], stageId: ids['stage_id'], workerId: ids['worker_id'] }
      const operation = kind === 'write' ? tree.write(key, value, { writer }) : tree.delete(key)
      expect(materialize(nodeFileSystem, tree.task([operation])).failures).toEqual([])
    }
  })

  test('holds the directories and files that the origin would have left, and no others', () => {
    expect(Object.keys(tree.snapshot())).toEqual([
      'ns/',
      `${META}/`,
      `${META}/.hidden.json`,
      `${META}/evidence/`,
      `${META}/evidence/deep/`,
      `${META}/evidence/deep/a.json.json`,
      `${META}/plan.md.json`,
      'ns/.hidden',
      'ns/evidence/',
      'ns/evidence/deep/',
      'ns/evidence/deep/a.json',
      'ns/plan.md',
    ])
  })

  test.each(Object.entries(left))(
    'holds %s as the origin would have written it, then our own fields',
    (key, [value, ids]) => {
      expect(readFileSync(tree.path('ns', key), 'utf8')).toBe(value)
      const metadata = tree.text(`${META}/${key}.json`) ?? ''
      const theirs = originMetadata(ids, AT_S)
      expect(metadata.slice(0, theirs.length - 2)).toBe(theirs.slice(0, -2))
      const ours = metadata.slice(theirs.length - 2)
      expect(ours).toMatch(
        new RegExp(
          `^,\n  "revision": 7,\n  "store": "${tree.context.storeId}",\n  "size": ${value.length},\n` +
            `  "checksum": "crc32:[0-9a-f]{8}",\n  "written_at": ${AT_MS},\n` +
            `  "metadata_checksum": "crc32:[0-9a-f]{8}"\n\\}$`,
        ),
      )
    },
  )

  test('is pruned by our deletes as by the origin’s, down to the directories it keeps', () => {
    const task = tree.task(Object.keys(left).map((key) => tree.delete(key)))
    expect(materialize(nodeFileSystem, task).failures).toEqual([])
    expect(Object.keys(tree.snapshot())).toEqual(['ns/', `${META}/`])
    expect(existsSync(tree.path('ns'))).toBe(true)
  })
})

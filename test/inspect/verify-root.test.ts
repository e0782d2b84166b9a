/**
 * Damage at rest that an inspection has to find, edits and crashes that it must not take for damage, and that it changes
 * nothing. Roots are left by a closed store, or by one that was killed.
 */
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Store } from '../../src/api.js'
import type { Finding } from '../../src/inspect/finding.js'
import { verifyRoot, type VerifySummary } from '../../src/inspect/verify-root.js'
import { openStore } from '../../src/store.js'
import { damageFile, flipBit, setTime, zeros } from '../damage/support/damage-bytes.js'
import { findJournal } from '../damage/support/journal-frames.js'
import { copyTree, fastBackend, leaveRoot } from '../damage/support/left-root.js'

interface Verified extends VerifySummary {
  readonly found: readonly Finding[]
}

async function verify(root: string): Promise<Verified> {
  const found: Finding[] = []
  const { signal } = new AbortController()
  const onFinding = (one: Finding): void => void found.push(one)
  return { ...(await verifyRoot({ root, signal, onFinding, onProgress: () => {} })), found }
}

/** What was found, in short. */
function shortly({ found }: Verified): string[] {
  return found.map(({ kind, part, path }) => `${kind} ${part} ${path}`)
}

async function fill(store: Store): Promise<void> {
  const session = await store.init('n', { writer: { writerId: 'ann' } })
  await session.write('k', 'the value of this key')
  await session.write('a/b', 'another')
  await session.write('a', 'x').catch(() => {})
  await session.write('empty', '')
}

async function fillMore(store: Store): Promise<void> {
  const session = await store.resume('n', { writer: { writerId: 'ben' } })
  await session.write('k', 'a later value')
  await session.write('new', 'made late')
  await session.delete('empty')
  await store.init('m')
}

/** Path, kind, size, time and bytes of everything. */
function everything(root: string): Map<string, string> {
  const files = new Map<string, string>()
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const { mtimeMs, size, mode } = statSync(path)
    files.set(path, `${mode} ${size} ${mtimeMs} ${entry.isFile() ? readFileSync(path, 'latin1') : ''}`)
  }
  return files
}

describe('an inspection of a root', () => {
  test.each(['closed', 'killed', 'killed at once', 'closed with a backlog'] as const)(
    'finds no damage where there is none, and changes nothing: %s',
    async (ending) => {
      const root = (await leaveRoot(ending, fill, fillMore)).copy()
      const before = everything(root)
      const verified = await verify(root)
      expect(verified.findings.damage ?? 0, JSON.stringify(verified.found)).toBe(0)
      expect(verified.findings.changed ?? 0, JSON.stringify(verified.found)).toBe(0)
      expect(verified.backlogKeys === 0).toBe(ending === 'closed')
      expect(everything(root)).toEqual(before)
    },
  )

  test('finds a bit of a content that turned, and names its key', async () => {
    const left = await leaveRoot('closed', fill)
    const root = left.copy()
    for (let bit = 0; bit < 8 * 'the value of this key'.length; bit += 3) {
      damageFile(join(root, 'n/k'), flipBit(bit))
      const verified = await verify(root)
      expect(shortly(verified), `bit ${bit}`).toEqual(['damage content n/k'])
      expect(verified.found[0]).toMatchObject({ namespace: 'n', key: 'k', repair: null })
      left.repair(root, 'n/k')
    }
  })

  test('finds a content that was cut off, and one that was filled with zeros', async () => {
    const root = (await leaveRoot('closed', fill)).copy()
    damageFile(join(root, 'n/k'), (bytes) => bytes.subarray(0, 3))
    damageFile(join(root, 'n/a/b'), zeros(0, 4))
    expect(shortly(await verify(root)).sort()).toEqual(['damage content n/a/b', 'damage content n/k'])
  })

  test('finds a bit of the metadata that turned', async () => {
    const left = await leaveRoot('closed', fill)
    const root = left.copy()
    const path = 'n/.agent_state_meta/k.json'
    const bits = 8 * statSync(join(root, path)).size
    // All bits of a byte, and all bytes, come up.
    for (let bit = 0; bit < bits; bit += 11) {
      damageFile(join(root, path), flipBit(bit))
      const { found } = await verify(root)
      const text = readFileSync(join(root, path), 'latin1')
      expect(found, `bit ${bit}: ${text}`).toHaveLength(1)
      // A name that turned is one that is passed over: then the rest does not fit its checksum.
      expect(found[0], `bit ${bit}: ${text}`).toMatchObject({ kind: 'damage', namespace: 'n', key: 'k' })
      left.repair(root, path)
    }
  })

  test('finds damage to the journal where opening would refuse, and leaves it alone', async () => {
    const left = await leaveRoot('killed', fill, fillMore)
    const root = left.copy()
    const { backlogKeys } = await verify(root)
    expect(backlogKeys).toBeGreaterThan(0)
    const { needed } = findJournal(root)
    let refused = 0
    for (const [index, { segment, offset, usedEnd }] of needed.entries()) {
      // In the header, in the body, and behind the body, where nothing is.
      for (const at of [offset + 24 + index, Math.floor((offset + usedEnd) / 2), usedEnd]) {
        damageFile(join(root, '.agent_state/journal', segment), flipBit(8 * at + 3))
        const before = everything(root)
        const verified = await verify(root)
        expect(everything(root)).toEqual(before)
        const opened = await openStore({ backend: fastBackend(root) }).then(
          async (store) => {
            await store.close()
            return 'opened'
          },
          (error: unknown) => (error as { code: string }).code,
        )
        expect(verified.findings.damage ?? 0, `${segment} ${at}: ${opened}`).toBe(opened === 'opened' ? 0 : 1)
        if (opened !== 'opened') refused++
        rmSync(root, { recursive: true })
        left.repair(root, '.')
      }
    }
    expect(refused).toBeGreaterThan(0)
  })

  test('finds one damaged copy of the checkpoint, which opening repairs, and two, which nothing does', async () => {
    const left = await leaveRoot('closed', fill)
    const root = left.copy()
    const path = join(root, '.agent_state/checkpoint')
    damageFile(path, flipBit(8 * 40))
    const one = await verify(root)
    expect(shortly(one)).toEqual(['damage checkpoint .agent_state/checkpoint'])
    expect(one.found[0]?.repair).not.toBeNull()
    damageFile(path, flipBit(8 * (4096 + 40)))
    const both = await verify(root)
    expect(shortly(both)).toEqual(['damage checkpoint .agent_state/checkpoint'])
    expect(both.found[0]?.repair).toBeNull()
    expect(both.keys).toBe(3)
  })

  test('finds a checkpoint that is older than the journal and the files', async () => {
    const root = (await leaveRoot('closed', fill)).copy()
    const path = '.agent_state/checkpoint'
    const older = readFileSync(join(root, path))
    const store = await openStore({ backend: fastBackend(root) })
    await (await store.resume('n')).write('k', 'later')
    await store.flush()
    const killed = `${root}-killed`
    copyTree(root, killed)
    await store.close()
    for (const left of [root, killed]) {
      expect((await verify(left)).findings.damage ?? 0).toBe(0)
      writeFileSync(join(left, path), older)
      const verified = await verify(left)
      expect(shortly(verified)).toContain('damage checkpoint n/.agent_state_meta/k.json')
      // Opening it would go on where the older one says, over what is there.
      expect(shortly(verified)).toContain('damage checkpoint .agent_state/checkpoint')
    }
  })

  test('finds a format file that is damaged or gone', async () => {
    const root = (await leaveRoot('closed', fill)).copy()
    damageFile(join(root, '.agent_state/format'), flipBit(3))
    expect(shortly(await verify(root))).toEqual(['damage format .agent_state/format'])
    rmSync(join(root, '.agent_state/format'))
    expect(shortly(await verify(root))).toEqual(['damage format .agent_state/format'])
  })

  test('tells what others changed from damage', async () => {
    const root = (await leaveRoot('closed', fill)).copy()
    appendFileSync(join(root, 'n/k'), ' and more')
    setTime(join(root, 'n/k'), Date.now() + 60_000)
    rmSync(join(root, 'n/a/b'))
    writeFileSync(join(root, 'n/by-hand'), 'new')
    const verified = await verify(root)
    expect(shortly(verified).sort()).toEqual([
      'changed content n/a/b',
      'changed content n/by-hand',
      'changed content n/k',
    ])
    expect(verified.found.find(({ path }) => path === 'n/a/b')?.message).toContain('gone')
  })

  test('names what an unclean end, another program and people leave, and takes none of it for damage', async () => {
    const root = (await leaveRoot('closed', fill)).copy()
    writeFileSync(join(root, '.agent_state/tmp/on-its-way'), '')
    writeFileSync(join(root, 'n/x.agent_state_tmp-1'), '')
    symlinkSync('k', join(root, 'n/link'))
    mkdirSync(join(root, 'n/folder'))
    rmSync(join(root, '.agent_state/preserved'), { recursive: true })
    expect(shortly(await verify(root)).sort()).toEqual([
      'ignored layout n/link',
      'leftover layout .agent_state/tmp/on-its-way',
      'leftover layout n/x.agent_state_tmp-1',
      'unfinished layout .agent_state/preserved',
    ])
  })

  test('takes an edit after a crash for one, and says that opening sets it aside', async () => {
    const root = (await leaveRoot('killed', fill, fillMore)).copy()
    writeFileSync(join(root, 'n/k'), 'by hand')
    const verified = await verify(root)
    expect(shortly(verified)).toEqual(['changed content n/k'])
    expect(verified.found[0]?.repair).toContain('preserved')
  })

  test('finds a segment that is missing or was cut off', async () => {
    const left = await leaveRoot('killed', fill, fillMore)
    const root = left.copy()
    const journal = join(root, '.agent_state/journal')
    const segments = readdirSync(journal).sort()
    for (const segment of segments) truncateSync(join(journal, segment), 4096)
    expect((await verify(root)).findings.damage).toBe(1)
    for (const segment of segments) renameSync(join(journal, segment), join(root, segment))
    expect((await verify(root)).findings.damage).toBe(1)
  })

  test('stops when it is told to', async () => {
    const root = (await leaveRoot('closed', fill)).copy()
    const options = {
      root,
      onFinding: () => {},
      onProgress: () => {},
      signal: AbortSignal.abort(new Error('enough')),
    }
    await expect(verifyRoot(options)).rejects.toThrow('enough')
  })
})

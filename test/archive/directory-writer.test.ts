/** An export that was told to be done survives a power cut: every directory on its way was synced. */
import { mkdtempSync, rmSync } from 'node:fs'
import type * as FilePromises from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { DirectoryWriter } from '../../src/archive/directory-writer.js'
import { fileSink } from '../../src/cli/tar-sinks.js'

const synced = vi.hoisted((): string[] => [])

vi.mock('node:fs/promises', async (importOriginal) => {
  const original = await importOriginal<typeof FilePromises>()
  const open = async (...args: Parameters<typeof original.open>): Promise<FilePromises.FileHandle> => {
    const file = await original.open(...args)
    const sync = file.sync.bind(file)
    file.sync = () => {
      synced.push(String(args[0]))
      return sync()
    }
    return file
  }
  return { ...original, open }
})

function temporaryFolder(): string {
  synced.length = 0
  const folder = mkdtempSync(join(tmpdir(), 'agent-state-durable-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

test.skipIf(process.platform === 'win32')('of a directory, those above it too', async () => {
  const folder = temporaryFolder()
  const writer = await DirectoryWriter.open(join(folder, 'new', 'er', 'export'))
  await writer.addFile('n/.agent_state_meta/deep/k.json', Buffer.from('{}'), 0)
  await writer.addFile('n/deep/k', Buffer.from('v'), 0)
  await writer.finish()
  const below = synced.map((path) => path.replace(/^.*\.partial-[^/]*/, 'PARTIAL'))
  const inside = ['', '/n', '/n/.agent_state_meta', '/n/.agent_state_meta/deep', '/n/deep']
  expect(below).toEqual(expect.arrayContaining(inside.map((path) => `PARTIAL${path}`)))
  expect(below.slice(-3)).toEqual([join(folder, 'new', 'er'), join(folder, 'new'), folder])
})

test.skipIf(process.platform === 'win32')('of a file, its directory behind the rename', async () => {
  const target = join(temporaryFolder(), 'state.tar')
  const sink = await fileSink(target)
  await sink.write(Buffer.from('tar'))
  await sink.finish()
  expect(synced.at(-1)).toBe(dirname(target))
})

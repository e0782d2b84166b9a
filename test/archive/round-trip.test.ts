/** What is exported is imported again, by a tar stream and by a directory; what is damaged or in the way changes nothing. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Store } from '../../src/api.js'
import { ArchiveError } from '../../src/archive/archive-error.js'
import type { ArchiveItem, ArchiveReader } from '../../src/archive/archive-reader.js'
import { DirectoryReader } from '../../src/archive/directory-reader.js'
import { DirectoryWriter } from '../../src/archive/directory-writer.js'
import { exportStore } from '../../src/archive/export-store.js'
import { importArchive, type ImportCounts, type ImportOptions } from '../../src/archive/import-archive.js'
import { TarReader } from '../../src/archive/tar-reader.js'
import { TarWriter } from '../../src/archive/tar-writer.js'
import { memoryBackend } from '../../src/backend/memory.js'
import { collect } from '../../src/contract/observe.js'
import { openStore } from '../../src/store.js'
import { fastBackend } from '../damage/support/left-root.js'
import { damageFile, flipBit } from '../damage/support/damage-bytes.js'

const STORE_ID = '0b0f9d4e-6a68-4c1b-9d2a-6d8f5c1a7e11'
const { signal } = new AbortController()

/** Keys that a layout, a shell or a tar header may trip over. */
const KEYS = [
  'plain',
  'a',
  'a.json/b',
  'a.json/b.json/c',
  'deep/er/and/deeper',
  'line\nbreak',
  'ünï/çødé/\u{1f600}',
  '-rf',
  'back\\slash "quoted" \'single\'',
  'export.json',
  `${'long'.repeat(50)}/${'er'.repeat(100)}`,
  'PaxHeader/x',
  '\u001b[31mred',
]

async function memoryStore(): Promise<Store> {
  const store = await openStore({ backend: memoryBackend() })
  onTestFinished(() => store.close())
  return store
}

async function filledStore(): Promise<Store> {
  const store = await memoryStore()
  const session = await store.init('n')
  for (const [index, key] of KEYS.entries()) {
    const writer = index % 3 === 0 ? undefined : { writerId: `writer-${index % 3}`, stageId: 'stage' }
    await session.with({ writer }).write(key, Buffer.from([index, 0, 255]))
  }
  await session.write('./ blanks /.', '')
  await session.write('large', Buffer.alloc(3_000_000, 'x'))
  await (await store.init('another "one"')).write('k', 'v')
  await store.init('empty')
  return store
}

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'agent-state-archive-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

async function toTar(store: Store): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  const archive = new TarWriter({
    write: async (bytes) => void chunks.push(Uint8Array.from(bytes)),
    finish: async () => {},
    abandon: async () => {},
  })
  await exportStore(store, archive, { storeId: STORE_ID, namespaces: null, signal, onProgress: () => {} })
  await archive.finish()
  return Buffer.concat(chunks)
}

async function toDirectory(store: Store): Promise<string> {
  const path = join(temporaryFolder(), 'export')
  const archive = await DirectoryWriter.open(path)
  await exportStore(store, archive, { storeId: STORE_ID, namespaces: null, signal, onProgress: () => {} })
  await archive.finish()
  return path
}

/** In pieces that end anywhere. */
function tarReader(tar: Buffer, canRepeat: boolean): TarReader {
  const pieces = function* (): Generator<Buffer> {
    for (let start = 0; start < tar.length; start += 7777) yield tar.subarray(start, start + 7777)
  }
  return new TarReader(() => Readable.from(pieces(), { objectMode: false }), canRepeat)
}

function importInto(
  store: Store,
  archive: ArchiveReader,
  options: Partial<ImportOptions> = {},
): Promise<ImportCounts> {
  return importArchive(store, archive, {
    ...{ existing: 'refuse', policy: undefined, writer: null, signal },
    onProgress: () => {},
    onLeftOut: () => {},
    ...options,
  })
}

/** Everything but revisions and times, which are each store's own. */
async function contents(store: Store): Promise<Record<string, unknown[]>> {
  const all: Record<string, unknown[]> = {}
  for (const namespace of await collect(store.namespaces())) {
    const entries = await collect((await store.resume(namespace)).entries())
    all[namespace] = entries.map(({ key, writer, value }) => [
      key,
      writer,
      Buffer.from(value).toString('base64'),
    ])
  }
  return all
}

describe('an archive', () => {
  test.each(['tar file', 'tar stream', 'directory'])('gives back everything: %s', async (kind) => {
    const store = await filledStore()
    const archive =
      kind === 'directory'
        ? new DirectoryReader(await toDirectory(store))
        : tarReader(await toTar(store), kind === 'tar file')
    const restored = await memoryStore()
    const counts = await importInto(restored, archive)
    expect(await contents(restored)).toEqual(await contents(store))
    expect(counts).toMatchObject({ namespaces: 3, keys: KEYS.length + 3, kept: 0 })
  })

  test('is not imported over keys that are there, unless it is said what becomes of them', async () => {
    const store = await filledStore()
    const directory = await toDirectory(store)
    const tar = await toTar(store)
    const other = await memoryStore()
    await (await other.init('n', { writer: { writerId: 'here' } })).write('plain', 'mine')
    const before = await contents(other)
    for (const archive of [new DirectoryReader(directory), tarReader(tar, true)]) {
      await expect(importInto(other, archive)).rejects.toMatchObject({ reason: 'refused' })
      expect(await contents(other)).toEqual(before)
    }
    const kept = await importInto(other, tarReader(tar, false), { existing: 'keep' })
    expect(kept).toMatchObject({ keys: KEYS.length + 2, kept: 1 })
    const session = await other.resume('n')
    expect(await session.read('plain')).toBe('mine')
    await session.write('large', 'changed')
    await importInto(other, new DirectoryReader(directory), { existing: 'overwrite', policy: 'ignore' })
    expect(await session.stat('large')).toMatchObject({ size: 3_000_000 })
    await expect(
      importInto(other, tarReader(tar, false), {
        existing: 'overwrite',
        policy: 'error',
        writer: { writerId: 'x' },
      }),
    ).rejects.toMatchObject({ code: 'CONFLICT' })
  })

  test('that is cut off or damaged anywhere imports nothing, if it can be read twice', async () => {
    const tar = await toTar(await filledStore())
    const restored = await memoryStore()
    const cuts = Array.from({ length: 25 }, (_, i) => Math.floor((tar.length * i) / 25))
    for (const cut of [...cuts, tar.length - 1536]) {
      const failed = importInto(restored, tarReader(tar.subarray(0, cut), true))
      await expect(failed, `cut at ${cut}`).rejects.toBeInstanceOf(ArchiveError)
    }
    for (const byte of [20, 700, 1000, 5000, Math.floor(tar.length / 2)]) {
      const damaged = Buffer.from(tar)
      damaged[byte]! ^= 1
      const failed = importInto(restored, tarReader(damaged, true))
      await expect(failed, `byte ${byte}`).rejects.toBeInstanceOf(ArchiveError)
    }
    expect(await contents(restored)).toEqual({})
  })

  test('that the system does not let us read is not taken for damaged', async () => {
    const tar = await toTar(await filledStore())
    const failure = Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO', errno: -5 })
    const pieces = function* (): Generator<Buffer> {
      yield tar.subarray(0, 7777)
      throw failure
    }
    const reading = (): Readable => Readable.from(pieces(), { objectMode: false })
    const opening = (): never => {
      throw failure
    }
    for (const open of [reading, opening]) {
      const imported = importInto(await memoryStore(), new TarReader(open, true))
      await expect(imported).rejects.toMatchObject({
        ...{ name: 'ArchiveError', reason: 'failed', message: expect.stringContaining('EIO') },
      })
    }
  })

  test.each([
    [[null]],
    [['n']],
    [[{}]],
    [[{ name: 7, revision: 1, keys: 1, bytes: 1 }]],
    [[{ name: 'n', revision: 1, keys: '1', bytes: 1 }]],
    [[{ name: 'n', revision: 1, keys: -1, bytes: 1 }]],
  ])('whose list of namespaces makes no sense is damaged: %j', async (namespaces) => {
    const directory = await toDirectory(await filledStore())
    const manifest = join(directory, '.agent_state', 'export.json')
    const written = JSON.parse(readFileSync(manifest, 'utf8')) as object
    writeFileSync(manifest, JSON.stringify({ ...written, namespaces }))
    const imported = importInto(await memoryStore(), new DirectoryReader(directory))
    await expect(imported).rejects.toMatchObject({ name: 'ArchiveError', reason: 'damaged' })
  })

  test('whose last files are missing is noticed, also in a directory', async () => {
    const directory = await toDirectory(await filledStore())
    const restored = await memoryStore()
    rmSync(join(directory, 'n', 'plain'))
    await expect(importInto(restored, new DirectoryReader(directory))).rejects.toThrow(/not complete/)
    damageFile(join(directory, 'n', 'large'), flipBit(12345))
    await expect(importInto(restored, new DirectoryReader(directory))).rejects.toThrow(/checksum/)
    expect(await contents(restored)).toEqual({})
  })

  test('in a directory without its list, or with an entry without its metadata, is not taken for whole', async () => {
    const store = await filledStore()
    const restored = await memoryStore()
    const listless = await toDirectory(store)
    rmSync(join(listless, '.agent_state'), { recursive: true })
    rmSync(join(listless, 'n', 'plain'))
    await expect(importInto(restored, new DirectoryReader(listless))).rejects.toThrow(/export\.json.*missing/)
    const bare = await toDirectory(store)
    rmSync(join(bare, 'n', '.agent_state_meta', 'plain.json'))
    await expect(importInto(restored, new DirectoryReader(bare))).rejects.toMatchObject({ reason: 'damaged' })
    expect(await contents(restored)).toEqual({})
  })

  test('of which the import fails tells all that was written before, and makes no namespace beyond', async () => {
    const restored = await memoryStore()
    const entry = (index: number, crc: number | null): ArchiveItem => ({
      ...{ type: 'entry', namespace: 'n', key: `k${index}`, value: Buffer.from('v') },
      metadata: { writer: null, size: null, crc, key: null },
    })
    const archive: ArchiveReader = {
      canRepeat: false,
      async *items() {
        yield { type: 'namespace', namespace: 'unwritten' }
        for (let index = 0; index < 600; index++) yield entry(index, null)
        yield entry(600, 1)
      },
    }
    let told = 0
    const onProgress: ImportOptions['onProgress'] = (_, { keys }) => void (told = keys)
    await expect(importInto(restored, archive, { onProgress })).rejects.toThrow(/checksum/)
    expect(told).toBe(512)
    expect(await collect(restored.namespaces())).toEqual(['n'])
    expect(await (await restored.resume('n')).list()).toHaveLength(512)
  })

  test('in a directory is whole or not there, and takes the place of nothing', async () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'something'), '')
    await expect(DirectoryWriter.open(folder)).rejects.toMatchObject({ reason: 'refused' })
    const writer = await DirectoryWriter.open(join(folder, 'new'))
    await writer.addFile('n/k', Buffer.from('v'), 0)
    await writer.abandon()
    await expect(DirectoryWriter.open(join(folder, 'something'))).rejects.toMatchObject({ reason: 'usage' })
    expect(readFileSync(join(folder, 'something'), 'utf8')).toBe('')
  })

  test('may be a tree that another program made; what is no key is left out, and told', async () => {
    const folder = temporaryFolder()
    mkdirSync(join(folder, 'n', '.agent_state_meta'), { recursive: true })
    writeFileSync(join(folder, 'n', 'k'), 'v')
    writeFileSync(
      join(folder, 'n', '.agent_state_meta', 'k.json'),
      '{"writer":{"writer_id":"rust"},"updated_at":7}',
    )
    writeFileSync(join(folder, 'n', 'bare'), '')
    const restored = await memoryStore()
    await importInto(restored, new DirectoryReader(folder))
    expect(await contents(restored)).toEqual({
      n: [
        ['bare', null, ''],
        ['k', { writerId: 'rust' }, Buffer.from('v').toString('base64')],
      ],
    })
  })

  test('that is a root itself is refused, because its files may be behind', async () => {
    const folder = temporaryFolder()
    await (await openStore({ backend: fastBackend(folder) })).close()
    const restored = await memoryStore()
    await expect(importInto(restored, new DirectoryReader(folder))).rejects.toMatchObject({
      reason: 'refused',
    })
  })
})

describe('a hostile tar stream', () => {
  /** One entry with a good header. */
  function tarOf(
    name: string,
    { type = '0', content = '' }: { type?: string; content?: string } = {},
  ): Buffer {
    const header = Buffer.alloc(512)
    header.write(name, 0, 'utf8')
    header.write('0000600\0', 100)
    header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124)
    header.write('00000000000\0', 136)
    header.write(' '.repeat(8), 148)
    header.write(type, 156)
    header.write('/etc/passwd', 157)
    header.write('ustar\x0000', 257)
    const sum = header.reduce((total, byte) => total + byte, 0)
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
    const body = Buffer.alloc(Math.ceil(content.length / 512) * 512)
    body.write(content)
    return Buffer.concat([header, body, Buffer.alloc(1024)])
  }

  test.each(['../x/k', 'n/../../k', '/etc/k', 'n/.agent_state_meta/../k', '.agent_state_x/\u0001/..'])(
    'can put nothing outside of a namespace: %s',
    async (name) => {
      const restored = await memoryStore()
      const archive = tarReader(tarOf(name, { content: 'x' }), false)
      await importInto(restored, archive).catch((error: unknown) => {
        expect(['INVALID_KEY', 'INVALID_NAMESPACE', 'refused', 'damaged']).toContain(
          (error as { code?: string }).code ?? (error as ArchiveError).reason,
        )
      })
      for (const [namespace, entries] of Object.entries(await contents(restored))) {
        expect(namespace).not.toMatch(/^\.{0,2}$|\/|^\.agent_state$/)
        expect(entries).toEqual([])
      }
    },
  )

  test('has its links left out, and told', async () => {
    const restored = await memoryStore()
    const leftOut: string[] = []
    const onLeftOut = (path: string): void => void leftOut.push(path)
    await importInto(restored, tarReader(tarOf('n/link', { type: '2' }), false), { onLeftOut })
    expect([leftOut, await contents(restored)]).toEqual([['n/link'], {}])
  })

  test.each(['77777777777', '00400000001'])(
    'cannot make us hold what no store would take: %s',
    async (size) => {
      const header = tarOf('n/k')
      header.write(`${size}\0`, 124)
      header.write(' '.repeat(8), 148)
      const sum = header.subarray(0, 512).reduce((total, byte) => total + byte, 0)
      header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
      await expect(importInto(await memoryStore(), tarReader(header, false))).rejects.toMatchObject({
        reason: 'refused',
      })
    },
  )

  test('is refused where the metadata of a key come behind its content', async () => {
    const store = await filledStore()
    const tar = await toTar(store)
    await expect(
      importInto(
        await memoryStore(),
        tarReader(Buffer.concat([tarOf('n/a', { content: 'x' }).subarray(0, 1024), tar]), false),
      ),
    ).rejects.toMatchObject({ reason: 'refused' })
  })
})

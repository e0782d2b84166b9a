/** What a measurement must be read with: the machine, the file system, the device, and what a flush costs there. */
import { execFile } from 'node:child_process'
import { mkdtemp, open, readFile, realpath, rm, statfs } from 'node:fs/promises'
import os from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { latencies, type LatencySummary } from './latencies.js'

export interface MachineFacts {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly node: string
  readonly platform: string
  readonly virtualization: string
  readonly fileSystem: string
  readonly fileSystemOptions: string
  /** Only of ext4: without one, flushes are cheaper, and creating files can become slow. */
  readonly fileSystemJournal: string
  readonly device: string
  readonly deviceKind: string
  readonly writeCache: string
  /** Appending 4 KiB to a file that has its place, and making that durable. */
  readonly flush: LatencySummary
}

const UNKNOWN = 'unknown'
const MEMORY_FILE_SYSTEMS = new Map([
  [0x01021994, 'tmpfs'],
  [0x858458f6, 'ramfs'],
])
const FLUSHES = 100

/** The name of the file system if the folder is kept in memory: nothing that is measured there is durable. */
export async function memoryFileSystem(folder: string): Promise<string | null> {
  const { type } = await statfs(folder)
  return process.platform === 'linux' ? (MEMORY_FILE_SYSTEMS.get(type) ?? null) : null
}

export async function machineFacts(folder: string): Promise<MachineFacts> {
  const mount = await mountOf(await realpath(folder))
  const queue = (name: string): Promise<string> => firstText(mount.queues.map((queue) => join(queue, name)))
  const rotational = await queue('rotational')
  return {
    cpu: os.cpus()[0]?.model ?? UNKNOWN,
    cores: os.cpus().length,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    node: process.version,
    platform: `${os.type()} ${os.release()} ${os.arch()}`,
    virtualization: await virtualization(),
    fileSystem: mount.type,
    fileSystemOptions: mount.options,
    fileSystemJournal: await journalOf(mount),
    device: mount.source,
    deviceKind: rotational === '0' ? 'solid state' : rotational === '1' ? 'rotational (or says so)' : UNKNOWN,
    writeCache: await queue('write_cache'),
    flush: await measureFlush(folder),
  }
}

interface Mount {
  readonly type: string
  readonly source: string
  readonly options: string
  /** Where the kernel describes the device and the one that it is a part of. */
  readonly queues: readonly string[]
}

async function mountOf(path: string): Promise<Mount> {
  const lines = (await text('/proc/self/mountinfo')).split('\n')
  let best: { readonly place: string; readonly mount: Mount } | null = null
  for (const line of lines) {
    const [before, after] = line.split(' - ')
    const [, , numbers, , place, options] = before?.split(' ') ?? []
    const [type, source, more] = after?.split(' ') ?? []
    if (place === undefined || type === undefined || source === undefined) continue
    if (path !== place && !path.startsWith(place === '/' ? '/' : `${place}/`)) continue
    if (best !== null && place.length < best.place.length) continue
    const device = `/sys/dev/block/${numbers}`
    const mount = {
      type,
      source,
      options: [options, more].join(','),
      queues: [`${device}/queue`, `${device}/../queue`],
    }
    best = { place, mount }
  }
  return best?.mount ?? { type: UNKNOWN, source: UNKNOWN, options: UNKNOWN, queues: [] }
}

async function journalOf({ type, source }: Mount): Promise<string> {
  if (type !== 'ext4') return 'does not apply'
  const options = await text(`/proc/fs/ext4/${source.split('/').at(-1)}/options`)
  if (options === '') return UNKNOWN
  return /^data=/m.test(options) ? (/^data=.*/m.exec(options)?.[0] ?? UNKNOWN) : 'none'
}

async function virtualization(): Promise<string> {
  const found = await Promise.all(['--vm', '--container'].map((kind) => detectVirtualization(kind)))
  const known = found.filter((name) => name !== null && name !== 'none')
  if (known.length > 0) return known.join(', ')
  if (found.includes('none')) return 'none'
  return / hypervisor/.test(await text('/proc/cpuinfo')) ? 'a virtual machine' : UNKNOWN
}

/** It ends with a failure where it finds none, and says so. */
async function detectVirtualization(kind: string): Promise<string | null> {
  try {
    return (await promisify(execFile)('systemd-detect-virt', [kind])).stdout.trim()
  } catch (error) {
    const { stdout } = error as { stdout?: string }
    return stdout?.trim() || null
  }
}

/** Appends to a file whose blocks were written before, as a journal does. */
export async function measureFlush(folder: string, flushes = FLUSHES): Promise<LatencySummary> {
  const directory = await mkdtemp(join(folder, 'flush-'))
  const times = latencies()
  const file = await open(join(directory, 'file'), 'w')
  try {
    const page = Buffer.alloc(4096, 1)
    await file.write(Buffer.alloc(page.length * flushes))
    await file.sync()
    for (let i = 0; i < flushes; i++) {
      await file.write(page, 0, page.length, i * page.length)
      const begin = performance.now()
      await file.datasync()
      times.record(performance.now() - begin)
    }
  } finally {
    await file.close()
    await rm(directory, { recursive: true, force: true })
  }
  return times.summary()
}

/** An existing folder at or above the path: where something would be made. */
export async function nearestFolder(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch {
    return nearestFolder(dirname(path))
  }
}

async function firstText(paths: readonly string[]): Promise<string> {
  for (const path of paths) {
    const found = (await text(path)).trim()
    if (found !== '') return found
  }
  return UNKNOWN
}

async function text(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    return ''
  }
}

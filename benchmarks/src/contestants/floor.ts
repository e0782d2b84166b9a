/**
 * The floor: the same bytes in the same groups, appended to a file that has its blocks already, and made durable by
 * `fdatasync`; no library, no index, no conflict detection. What a group commit can't be faster than here.
 */
import { open, readFile, type FileHandle } from 'node:fs/promises'
import { fdatasync, fdatasyncSync, write, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Contestant, Opened } from './contestant.js'
import { GroupCommit } from './group-commit.js'

const FILE_BYTES = 64 * 1024 * 1024
const GROUP_BYTES = 4 * 1024 * 1024
const ZEROS = 4 * 1024 * 1024

interface Item {
  readonly key: string
  readonly value: Uint8Array
}

export const floor: Contestant = {
  name: 'floor',
  about:
    'the same bytes in the same groups, appended to a preallocated file and synced (fdatasync), no library',
  open: (folder) => openFloor(folder, append),
}

/** On a quick disk, handing a group to another thread and being woken again takes longer than the disk does. */
export const floorInPlace: Contestant = {
  name: 'floor in place',
  about: "the floor, written and synced in the event loop's own thread: faster where the disk is quick",
  open: (folder) => openFloor(folder, appendInPlace),
}

type Append = (fd: number, bytes: Uint8Array, position: number) => unknown

async function openFloor(folder: string, append: Append): Promise<Opened> {
  const path = join(folder, 'log')
  const found = await records(path)
  const file = await preallocated(path)
  // Room for what one group may hold beyond its bound: the last record that was put in.
  let buffer = Buffer.allocUnsafe(GROUP_BYTES)
  let position = found.end
  const groups = new GroupCommit<Item>(1024, async (items) => {
    let used = 0
    for (const { key, value } of items) {
      const bytes = 8 + 3 * key.length + value.length
      if (used + bytes > buffer.length) buffer = Buffer.concat([buffer.subarray(0, used)], 2 * (used + bytes))
      used = encode(buffer, used, key, value)
    }
    if (position + used > FILE_BYTES) position = 0
    await append(file.fd, buffer.subarray(0, used), position)
    position += used
  })
  return {
    write: (_, namespace, key, value) => groups.add({ key: `${namespace}/${key}`, value }),
    read: (namespace, key) => found.values.get(`${namespace}/${key}`) ?? null,
    drain: async () => {},
    close: () => file.close(),
  }
}

async function preallocated(path: string): Promise<FileHandle> {
  const file = await open(path, 'a').then(async (made) => {
    await made.close()
    return open(path, 'r+')
  })
  for (let { size } = await file.stat(); size < FILE_BYTES; size += ZEROS) {
    await file.write(Buffer.alloc(ZEROS), 0, ZEROS, size)
  }
  await file.sync()
  return file
}

function encode(buffer: Buffer, start: number, key: string, value: Uint8Array): number {
  const keyBytes = buffer.write(key, start + 8)
  buffer.writeUInt32LE(keyBytes, start)
  buffer.writeUInt32LE(value.length, start + 4)
  buffer.set(value, start + 8 + keyBytes)
  return start + 8 + keyBytes + value.length
}

/** Callbacks: the promises of `FileHandle` cost as much as the system calls. */
function append(fd: number, bytes: Uint8Array, position: number): Promise<void> {
  return new Promise((resolve, reject) => {
    write(fd, bytes, 0, bytes.length, position, (error, written) => {
      if (error !== null) return reject(error)
      if (written !== bytes.length) return reject(new Error('a write was cut short'))
      fdatasync(fd, (failure) => (failure === null ? resolve() : reject(failure)))
    })
  })
}

function appendInPlace(fd: number, bytes: Uint8Array, position: number): void {
  const written = writeSync(fd, bytes, 0, bytes.length, position)
  if (written !== bytes.length) throw new Error('a write was cut short')
  fdatasyncSync(fd)
}

/** What an earlier process left; only right as long as the end of the file was not reached. */
async function records(path: string): Promise<{ values: ReadonlyMap<string, Uint8Array>; end: number }> {
  const values = new Map<string, Uint8Array>()
  const bytes = await readFile(path).catch(() => Buffer.alloc(0))
  let end = 0
  while (end + 8 < bytes.length) {
    const keyBytes = bytes.readUInt32LE(end)
    const valueEnd = end + 8 + keyBytes + bytes.readUInt32LE(end + 4)
    if (keyBytes === 0 || valueEnd > bytes.length) break
    const keyEnd = end + 8 + keyBytes
    values.set(bytes.toString('utf8', end + 8, keyEnd), bytes.subarray(keyEnd, valueEnd))
    end = valueEnd
  }
  return { values, end }
}

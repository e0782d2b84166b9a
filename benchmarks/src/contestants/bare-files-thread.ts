import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { parentPort, threadId } from 'node:worker_threads'
import { METADATA_FOLDER, type BareFile, type BareJob } from './bare-files.js'
import type { ThreadAnswer } from './threads.js'

parentPort!.on('message', (job: BareJob) => {
  parentPort!.postMessage(answer(job))
})

function answer(job: BareJob): ThreadAnswer {
  try {
    return { answer: job.kind === 'write' ? writeAll(job.files) : read(job.folder, job.key) }
  } catch (error) {
    return { error }
  }
}

/** The last write of a key in a batch is the one that counts. */
function writeAll(files: readonly BareFile[]): void {
  const last = [...new Map(files.map((file) => [join(file.folder, file.key), file])).values()]
  // Both threads may have the same key.
  const temporary = (key: string): string => `.${key}.${threadId}.tmp`
  const pairs = last.map(({ folder, key, value }) => ({
    content: { path: join(folder, key), temporary: join(folder, temporary(key)), bytes: value },
    metadata: {
      path: join(folder, METADATA_FOLDER, `${key}.json`),
      temporary: join(folder, METADATA_FOLDER, temporary(key)),
      bytes: metadataOf(key, value),
    },
  }))
  for (const { content, metadata } of pairs) {
    writeSynced(content.temporary, content.bytes)
    writeSynced(metadata.temporary, metadata.bytes)
  }
  const folders = new Set(last.map(({ folder }) => folder))
  for (const { content } of pairs) renameSync(content.temporary, content.path)
  for (const folder of folders) syncFolder(folder)
  for (const { metadata } of pairs) renameSync(metadata.temporary, metadata.path)
  for (const folder of folders) syncFolder(join(folder, METADATA_FOLDER))
}

/** As long as the metadata of the library. */
function metadataOf(key: string, value: Uint8Array): Buffer {
  const writer = { writer_id: 'agent-1' }
  const rest = {
    store: '0198c7b0-0000-7000-8000-000000000000',
    size: value.length,
    checksum: 'crc32:00000000',
  }
  return Buffer.from(
    JSON.stringify(
      { writer, updated_at: 1795369429, revision: 1, ...rest, written_at: Date.now(), key },
      null,
      2,
    ),
  )
}

function writeSynced(path: string, bytes: Uint8Array): void {
  const file = openSync(path, 'w')
  writeSync(file, bytes)
  fsyncSync(file)
  closeSync(file)
}

function syncFolder(path: string): void {
  const folder = openSync(path, 'r')
  fsyncSync(folder)
  closeSync(folder)
}

function read(folder: string, key: string): Uint8Array {
  JSON.parse(readFileSync(join(folder, METADATA_FOLDER, `${key}.json`), 'utf8'))
  return readFileSync(join(folder, key))
}

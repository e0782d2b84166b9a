import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { randomUUID } from 'node:crypto'
import { basename, dirname, join } from 'node:path'
import { parentPort } from 'node:worker_threads'
import type { OriginWrite } from './origin.js'
import type { ThreadAnswer } from './threads.js'

parentPort!.on('message', (job: OriginWrite) => {
  parentPort!.postMessage(answer(job))
})

function answer(job: OriginWrite): ThreadAnswer {
  try {
    return { answer: write(job) }
  } catch (error) {
    return { error }
  }
}

/** Whether somebody else wrote the key before. */
function write({ namespace, key, value, writer }: OriginWrite): boolean {
  const path = join(namespace, key)
  const metadataPath = join(namespace, '.agent_state_meta', `${key}.json`)
  mkdirSync(dirname(path), { recursive: true })
  const previous = previousWriter(metadataPath)
  writeAtomically(path, value)
  mkdirSync(dirname(metadataPath), { recursive: true })
  const updatedAt = Math.floor(Date.now() / 1000)
  const metadata = JSON.stringify({ writer: { writer_id: writer }, updated_at: updatedAt }, null, 2)
  writeAtomically(metadataPath, metadata)
  return previous !== null && previous !== writer
}

function previousWriter(path: string): string | null {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return null
  }
  const { writer } = JSON.parse(text) as { writer?: { writer_id?: string } }
  return writer?.writer_id ?? null
}

function writeAtomically(path: string, content: string | Uint8Array): void {
  const folder = dirname(path)
  const temporary = join(folder, `.${basename(path)}..agent_state_tmp.${randomUUID()}`)
  const file = openSync(temporary, 'w')
  try {
    writeFileSync(file, content)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(temporary, path)
  const directory = openSync(folder, 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}

/**
 * Reads a tar stream. The metadata of an entry are expected before its content, as an export writes them; what comes in
 * another order is refused, because contents would have to be held until the end.
 */
import type { Readable } from 'node:stream'
import { createTarDecoder, type ParsedTarEntry } from 'modern-tar'
import { ArchiveError } from './archive-error.js'
import {
  parseArchivePath,
  parseEntryMetadata,
  parseManifest,
  type EntryMetadata,
  type Manifest,
} from './archive-layout.js'
import { ENTRY_BYTES_MAX, type ArchiveItem, type ArchiveReader } from './archive-reader.js'

export class TarReader implements ArchiveReader {
  readonly canRepeat: boolean
  readonly #open: () => Readable

  constructor(open: () => Readable, canRepeat: boolean) {
    this.#open = open
    this.canRepeat = canRepeat
  }

  async *items(signal: AbortSignal): AsyncGenerator<ArchiveItem> {
    const tar = new TarItems()
    let source: Readable | null = null
    try {
      source = this.#open()
      const decoder = createTarDecoder({ strict: true })
      const piped = feed(source, decoder.writable, signal)
      // The reading side learns of a failure too.
      piped.catch(() => {})
      for await (const entry of decoder.readable) {
        signal.throwIfAborted()
        const item = await tar.take(entry)
        if (item !== null) yield item
      }
      await piped
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof ArchiveError) throw error
      const message = error instanceof Error ? error.message : String(error)
      const reason = isOfSystem(error) ? 'failed' : 'damaged'
      throw new ArchiveError(reason, `the tar stream can't be read: ${message}`)
    } finally {
      source?.destroy()
    }
    yield tar.end()
  }
}

/** The bytes may be good: it was the system that did not give them. */
function isOfSystem(error: unknown): boolean {
  return error instanceof Error && 'errno' in error && typeof error.errno === 'number'
}

async function feed(source: Readable, sink: WritableStream<Uint8Array>, signal: AbortSignal): Promise<void> {
  const writer = sink.getWriter()
  try {
    for await (const chunk of source) {
      signal.throwIfAborted()
      await writer.write(chunk as Uint8Array)
    }
    await writer.close()
  } catch (error) {
    await writer.abort(error).catch(() => {})
    throw error
  }
}

/** Owns what was read and belongs to an entry that has not come yet. */
class TarItems {
  readonly #metadata = new Map<string, EntryMetadata>()
  /** Contents that came without any, to notice metadata that come too late. */
  readonly #withoutMetadata = new Set<string>()
  #hadMetadata = false
  #manifest: Manifest | null = null

  async take({ header, body }: ParsedTarEntry): Promise<ArchiveItem | null> {
    const { name, type = 'file', size } = header
    const isDirectory = type === 'directory'
    if (type !== 'file' && !isDirectory) {
      await body.cancel()
      return { type: 'left-out', path: name, why: `it is no file (${type})` }
    }
    if (size > ENTRY_BYTES_MAX)
      throw new ArchiveError('refused', `'${name}' has ${size} bytes, which is too large for a value`)
    const path = parseArchivePath(name, isDirectory)
    if (path.kind === 'other' || path.kind === 'namespace') {
      await body.cancel()
      return path.kind === 'namespace' ? { type: 'namespace', namespace: path.namespace } : null
    }
    const bytes = new Uint8Array(await new Response(body).arrayBuffer())
    if (path.kind === 'manifest') {
      this.#manifest = parseManifest(bytes)
      if (this.#manifest === null)
        throw new ArchiveError('damaged', `'${name}' is damaged, or of a newer version`)
      return null
    }
    if (path.kind === 'metadata') {
      this.#hold(name, path.namespace, path.key, bytes)
      return null
    }
    const id = `${path.namespace}/${path.key}`
    const metadata = this.#metadata.get(id) ?? null
    this.#metadata.delete(id)
    if (metadata === null) this.#withoutMetadata.add(id)
    return { type: 'entry', namespace: path.namespace, key: path.key, value: bytes, metadata }
  }

  end(): ArchiveItem {
    if (this.#manifest === null && this.#hadMetadata)
      throw new ArchiveError(
        'damaged',
        'the archive is not complete: its last file, which lists the others, is missing',
      )
    return { type: 'end', manifest: this.#manifest }
  }

  #hold(name: string, namespace: string, givenKey: string | null, bytes: Uint8Array): void {
    const metadata = parseEntryMetadata(bytes)
    const key = givenKey ?? metadata?.key ?? null
    if (metadata === null || key === null)
      throw new ArchiveError('damaged', `the metadata '${name}' are damaged`)
    const id = `${namespace}/${key}`
    if (this.#withoutMetadata.has(id))
      throw new ArchiveError(
        'refused',
        `the metadata of '${id}' come behind its content; unpack the archive, and import the directory`,
      )
    this.#metadata.set(id, metadata)
    this.#hadMetadata = true
  }
}

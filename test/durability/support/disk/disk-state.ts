/**
 * What a disk holds, and what it is sure to hold after a power cut. The rules are those that POSIX gives and no more:
 *
 * - A write, a change of size and a change of time are certain only after a sync of the file; until then each sector of
 *   512 bytes is kept or lost on its own, and so is the size. A sector that was being written may be torn in itself. Where
 *   a file became longer, there may be what another file held before.
 * - A sync makes certain what was written before it was asked for, and nothing of what was written until it was answered.
 * - A directory entry is certain only after a sync of its directory, each entry on its own: a file that was renamed may be
 *   found under both names, or under none; what was unlinked may come back; a new directory may be missing, with all in it.
 * - A sync of a file says nothing of its entry, and a sync of a directory nothing of the files in it.
 * - A sync of a file that failed makes nothing certain, and a later one that succeeds makes nothing of what was written
 *   before certain either (as ext4 and xfs behave). It stays visible until the system drops it from memory (`evict`); then
 *   each sector is found as it was before or as it was written.
 */
import type { Random } from '../random.js'
import { Content, isZero } from './content.js'

export type InodeId = number

export type DiskOp =
  | { readonly kind: 'create'; readonly in: InodeId; readonly name: string; readonly inode: InodeId }
  | { readonly kind: 'makeDirectory'; readonly in: InodeId; readonly name: string; readonly inode: InodeId }
  | { readonly kind: 'remove'; readonly in: InodeId; readonly name: string }
  | {
      readonly kind: 'rename'
      readonly in: InodeId
      readonly name: string
      readonly toIn: InodeId
      readonly toName: string
    }
  | { readonly kind: 'write'; readonly inode: InodeId; readonly position: number; readonly bytes: Buffer }
  | { readonly kind: 'resize'; readonly inode: InodeId; readonly size: number }
  | { readonly kind: 'setTime'; readonly inode: InodeId; readonly mtimeMs: number }
  | {
      readonly kind: 'sync'
      readonly inode: InodeId
      readonly dataOnly: boolean
      /** What had been written when the sync was asked for: nothing later is certain by it. Undefined: everything. */
      readonly covers?: ReadonlySet<DiskOp>
    }
  | { readonly kind: 'failSync'; readonly inode: InodeId }

type ContentOp = Extract<DiskOp, { kind: 'write' | 'resize' | 'setTime' }>

interface FileNode {
  readonly kind: 'file'
  content: Content
  mtimeMs: number
  /** As it is certain to be found. */
  durable: { content: Content; mtimeMs: number }
  /** In order. A sync makes them certain, unless one failed before: then they are in `doomed`. */
  uncertain: ContentOp[]
  doomed: ContentOp[]
}

interface DirectoryNode {
  readonly kind: 'directory'
  readonly entries: Map<string, InodeId>
  durable: Map<string, InodeId>
  uncertain: { readonly name: string; readonly inode: InodeId | null }[]
}

type Node = FileNode | DirectoryNode

export const ROOT_INODE: InodeId = 1
const SECTOR_BYTES = 512

export class DiskState {
  readonly #nodes = new Map<InodeId, Node>()
  #nextInode = ROOT_INODE + 1

  constructor() {
    this.#nodes.set(ROOT_INODE, emptyDirectory())
  }

  newInode(): InodeId {
    return this.#nextInode++
  }

  isDirectory(inode: InodeId): boolean {
    return this.#nodes.get(inode)?.kind === 'directory'
  }

  entries(directory: InodeId): ReadonlyMap<string, InodeId> {
    return this.#directory(directory).entries
  }

  file(inode: InodeId): Readonly<Pick<FileNode, 'content' | 'mtimeMs'>> {
    return this.#file(inode)
  }

  /** What a sync that is asked for now makes certain. */
  uncertain(file: InodeId): ReadonlySet<DiskOp> {
    return new Set(this.#file(file).uncertain)
  }

  /** What the running system sees from now on. */
  apply(op: DiskOp): void {
    switch (op.kind) {
      case 'create':
      case 'makeDirectory':
        this.#nextInode = Math.max(this.#nextInode, op.inode + 1)
        this.#nodes.set(op.inode, op.kind === 'create' ? emptyFile() : emptyDirectory())
        return this.#setEntry(op.in, op.name, op.inode)
      case 'remove':
        return this.#setEntry(op.in, op.name, null)
      case 'rename': {
        const inode = this.#directory(op.in).entries.get(op.name)
        if (inode === undefined) throw new Error(`nothing to rename at ${op.name}`)
        this.#setEntry(op.in, op.name, null)
        return this.#setEntry(op.toIn, op.toName, inode)
      }
      case 'sync':
        return this.#sync(op)
      case 'failSync': {
        const node = this.#nodes.get(op.inode)
        if (node?.kind === 'file') node.doomed.push(...node.uncertain.splice(0))
        return undefined
      }
      case 'write':
      case 'resize':
      case 'setTime': {
        const file = this.#file(op.inode)
        change(file, op)
        file.uncertain.push(op)
      }
    }
  }

  /** The same, with what is uncertain still uncertain: what a killed process leaves to the next one. */
  copy(): DiskState {
    const copy = new DiskState()
    copy.#nextInode = this.#nextInode
    for (const [inode, node] of this.#nodes) copy.#nodes.set(inode, copyNode(node))
    return copy
  }

  /** What could not be synced is dropped from memory: from now on everybody sees what the disk has of it. */
  evict(random: Random): void {
    for (const node of this.#nodes.values()) {
      if (node.kind === 'file' && node.doomed.length > 0) evictFile(node, random)
    }
  }

  /** One of the states that may be found after a power cut. In it everything is certain. */
  cutPower(random: Random, survival: Survival): DiskState {
    const after = new DiskState()
    after.#nextInode = this.#nextInode
    const entries = new Map<InodeId, Map<string, InodeId>>()
    const waiting = [ROOT_INODE]
    for (let inode = waiting.pop(); inode !== undefined; inode = waiting.pop()) {
      if (entries.has(inode)) continue
      const found = survivingEntries(this.#directory(inode), random, survival)
      entries.set(inode, found)
      after.#nodes.set(inode, { ...emptyDirectory(), entries: new Map(found), durable: found })
      for (const child of found.values()) {
        if (this.isDirectory(child)) waiting.push(child)
        else if (!after.#nodes.has(child)) {
          const stale = (start: number, length: number): Buffer => this.#staleBytes(random, start, length)
          after.#nodes.set(child, survivingFile(this.#file(child), random, survival, stale))
        }
      }
    }
    return after
  }

  /** Whether a power cut now could lose anything. */
  get isCertain(): boolean {
    for (const node of this.#nodes.values()) {
      if (node.uncertain.length > 0 || (node.kind === 'file' && node.doomed.length > 0)) return false
    }
    return true
  }

  #sync({ inode, dataOnly, covers }: Extract<DiskOp, { kind: 'sync' }>): void {
    const node = this.#nodes.get(inode)!
    if (node.kind === 'directory') {
      for (const { name, inode: child } of node.uncertain.splice(0)) setOrDelete(node.durable, name, child)
      return
    }
    const certain = { content: node.durable.content.copy(), mtimeMs: node.durable.mtimeMs }
    const synced = node.uncertain.splice(0)
    const left: ContentOp[] = []
    for (const op of synced) {
      if ((dataOnly && op.kind === 'setTime') || covers?.has(op) === false) left.push(op)
      else change(certain, op)
    }
    node.uncertain.push(...left)
    const certainOps = synced.filter((op) => !left.includes(op))
    node.doomed = node.doomed.filter((doomed) => !certainOps.some((op) => overlaps(doomed, op)))
    node.durable = certain
  }

  /** What lay on the disk where a file has grown: often another file's, one that was deleted too. */
  #staleBytes(random: Random, start: number, length: number): Buffer {
    const bytes = Buffer.alloc(length, 'stale ')
    const files = [...this.#nodes.values()].filter((node) => node.kind === 'file')
    const { content } = random.pick(files)
    if (random.chance(0.7)) content.read(bytes, start)
    return bytes
  }

  #setEntry(directory: InodeId, name: string, inode: InodeId | null): void {
    const node = this.#directory(directory)
    setOrDelete(node.entries, name, inode)
    node.uncertain.push({ name, inode })
  }

  #directory(inode: InodeId): DirectoryNode {
    const node = this.#nodes.get(inode)
    if (node?.kind !== 'directory') throw new Error(`inode ${inode} is no directory`)
    return node
  }

  #file(inode: InodeId): FileNode {
    const node = this.#nodes.get(inode)
    if (node?.kind !== 'file') throw new Error(`inode ${inode} is no file`)
    return node
  }
}

/** How much of what is uncertain survives a power cut: a probability for directory entries and one for contents. */
export interface Survival {
  readonly entries: number
  readonly contents: number
  /** What a file was extended by but never filled with may be what lay on the disk before, instead of zeros. */
  readonly staleBytes: boolean
  /** How often a sector that is lost was being written just then, and holds its first bytes. Default 0. */
  readonly tornSectors?: number
}

export const EXTREMES: readonly Survival[] = [
  { entries: 0, contents: 0, staleBytes: false },
  { entries: 1, contents: 0, staleBytes: true, tornSectors: 0.5 },
  { entries: 0, contents: 1, staleBytes: false },
  { entries: 1, contents: 1, staleBytes: false },
]

export function randomSurvival(random: Random): Survival {
  const choices = [0, 0.1, 0.5, 0.9, 1]
  const contents = random.pick(choices)
  return {
    entries: random.pick(choices),
    contents,
    staleBytes: contents < 1 && random.chance(0.3),
    tornSectors: random.pick([0, 0.1, 0.5]),
  }
}

function emptyFile(): FileNode {
  return {
    kind: 'file',
    content: new Content(),
    mtimeMs: 0,
    durable: { content: new Content(), mtimeMs: 0 },
    uncertain: [],
    doomed: [],
  }
}

function emptyDirectory(): DirectoryNode {
  return { kind: 'directory', entries: new Map(), durable: new Map(), uncertain: [] }
}

function copyNode(node: Node): Node {
  if (node.kind === 'directory') {
    const { entries, durable, uncertain } = node
    return { ...node, entries: new Map(entries), durable: new Map(durable), uncertain: [...uncertain] }
  }
  return {
    ...node,
    content: node.content.copy(),
    uncertain: [...node.uncertain],
    doomed: [...node.doomed],
  }
}

function setOrDelete(entries: Map<string, InodeId>, name: string, inode: InodeId | null): void {
  if (inode === null) entries.delete(name)
  else entries.set(name, inode)
}

function change(file: { content: Content; mtimeMs: number }, op: ContentOp): void {
  if (op.kind === 'write') file.content.write(op.bytes, op.position)
  else if (op.kind === 'resize') file.content.resize(op.size)
  else file.mtimeMs = op.mtimeMs
}

function overlaps(first: ContentOp, second: ContentOp): boolean {
  if (first.kind !== 'write' || second.kind !== 'write') return first.kind === second.kind
  const firstEnd = first.position + first.bytes.length
  return first.position < second.position + second.bytes.length && second.position < firstEnd
}

/** Each name on its own: as it certainly was, or as one of the later changes made it. */
function survivingEntries(
  { durable, uncertain }: DirectoryNode,
  random: Random,
  survival: Survival,
): Map<string, InodeId> {
  const entries = new Map(durable)
  const lost = new Set<string>()
  for (const { name, inode } of uncertain) {
    if (lost.has(name)) continue
    if (random.chance(survival.entries)) setOrDelete(entries, name, inode)
    // The changes of one name reach the disk in order, each replacing the one before.
    else lost.add(name)
  }
  return entries
}

function survivingFile(
  file: FileNode,
  random: Random,
  survival: Survival,
  stale: (start: number, length: number) => Buffer,
): FileNode {
  const content = file.durable.content.copy()
  let { mtimeMs } = file.durable
  let size = content.size
  const written = [...file.doomed, ...file.uncertain]
  for (const op of written) {
    const survives = (): boolean => random.chance(survival.contents)
    if (op.kind === 'write') {
      const keeps = (length: number): number => {
        if (survives()) return length
        return random.chance(survival.tornSectors ?? 0) ? random.below(length) : 0
      }
      writeSectors(content, op, keeps)
      if (op.position + op.bytes.length > size && survives()) size = op.position + op.bytes.length
    } else if (op.kind === 'resize') {
      if (survives()) size = op.size
    } else if (survives()) {
      mtimeMs = op.mtimeMs
    }
  }
  content.resize(size)
  if (survival.staleBytes) fillWithStaleBytes(content, file.durable.content.size, written, random, stale)
  return { ...emptyFile(), content, mtimeMs, durable: { content: content.copy(), mtimeMs } }
}

/** Size and time are not part of what is dropped. */
function evictFile(file: FileNode, random: Random): void {
  const kept = random.pick([0, 0.5, 1])
  const content = file.durable.content.copy()
  let { mtimeMs } = file.durable
  for (const op of file.doomed.splice(0)) {
    if (op.kind === 'write') {
      content.resize(Math.max(content.size, op.position + op.bytes.length))
      writeSectors(content, op, (length) => (random.chance(kept) ? length : 0))
    } else if (op.kind === 'resize') {
      content.resize(op.size)
    } else {
      mtimeMs = op.mtimeMs
    }
  }
  file.durable = { content, mtimeMs }
  file.content = content.copy()
  file.mtimeMs = mtimeMs
  for (const op of file.uncertain) change(file, op)
}

/** `keeps`: how many bytes of a sector reach the disk. */
function writeSectors(
  content: Content,
  { bytes, position }: Extract<ContentOp, { kind: 'write' }>,
  keeps: (length: number) => number,
): void {
  if (isZero(bytes)) {
    content.write(bytes.subarray(0, keeps(bytes.length)), position)
    return
  }
  for (let done = 0; done < bytes.length;) {
    const sector = bytes.subarray(done, done + SECTOR_BYTES - ((position + done) % SECTOR_BYTES))
    content.write(sector.subarray(0, keeps(sector.length)), position + done)
    done += sector.length
  }
}

/** Where a file became longer and nothing of it was ever synced, some of what was meant to be written is wrong. */
function fillWithStaleBytes(
  content: Content,
  durableSize: number,
  written: readonly ContentOp[],
  random: Random,
  stale: (start: number, length: number) => Buffer,
): void {
  if (content.size <= durableSize || written.length === 0) return
  const start = durableSize + random.below(content.size - durableSize)
  content.write(stale(start, Math.min(SECTOR_BYTES, content.size - start)), start)
}

/** Mistakes that could be made in the source, each in a line or two: what proves durability must find all of them. */
import type { Edit } from './variant.js'

export interface Mutation {
  readonly name: string
  readonly edits: readonly Edit[]
}

function mutation(name: string, file: string, ...pairs: readonly (readonly [string, string])[]): Mutation {
  return { name, edits: pairs.map(([from, to]) => ({ file: `backend/file/${file}`, from, to })) }
}

export const MUTATIONS: readonly Mutation[] = [
  mutation('a segment is used again before the checkpoint behind it is synced', 'journal.ts', [
    'await writeCheckpoint()',
    'void writeCheckpoint()',
  ]),
  mutation(
    'a sync of the journal is asked for before its write has ended',
    'journal.ts',
    [
      'for (let done = 0; done < bytes.length;) {\n      const written',
      'const early = fs.datasyncAsync(this.#fd)\n    for (let done = 0; done < bytes.length;) {\n      const written',
    ],
    ['await fs.datasyncAsync(this.#fd)', 'await early'],
  ),
  mutation(
    'the journal of a killed process is continued without syncing it',
    'earlier-segments.ts',
    ['    writeFully(fs, fd, frame, offset)\n    fs.datasync(fd)\n', ''],
    ['  syncSegments(fs, unneeded)\n  return null', '  return null'],
  ),
  mutation('what recovery found is not written again', 'open-root.ts', [
    'if ((await this.#carrier.carry()) === null) return',
    'return',
  ]),
  mutation('old segments are deleted before the checkpoint says that they are not needed', 'open-root.ts', [
    'await this.checkpointer.begin(this.#journal)',
    'await this.#removeUnneeded()\n    await this.checkpointer.begin(this.#journal)',
  ]),
  mutation('segments that an unclean end left are filled anew', 'earlier-segments.ts', ['wasClean && ', '']),
  mutation('a segment is used before it is synced', 'segment.ts', ['    fs.sync(fd)\n', '']),
  mutation('a segment is used before its directory is synced', 'segment.ts', [
    'writeZeros(fs, task)\n    syncDirectory(fs, parentOf(task.path))',
    'writeZeros(fs, task)',
  ]),
  mutation('a store that is in use is said to be clean', 'checkpointer.ts', ['clean: false', 'clean: true']),
  mutation('closing without a flush is said to be clean', 'open-root.ts', [
    'let flushed = this.#backlog.count === 0',
    'let flushed = true',
  ]),
  mutation('revisions go on from where the last opening began', 'checkpointer.ts', [
    'this.#revision = file.state.ceiling',
    'this.#revision = file.state.epoch',
  ]),
  mutation('both copies of the checkpoint are written before one is synced', 'checkpoint.ts', [
    'await this.#fs.datasyncAsync(this.#fd)',
    'if (index > 0) await this.#fs.datasyncAsync(this.#fd)',
  ]),
  mutation("a frame's checksum is not looked at", 'journal-scan.ts', [
    'if (!verifyBody(header, body)) return null',
    '',
  ]),
  mutation("neither a frame's number nor its link to the one before are looked at", 'journal-scan.ts', [
    'if (header === null || !isExpected(header, storeId, next)) break',
    'if (header === null || !liesAt(header, storeId, next.segment, next.offset)) break',
  ]),
  mutation('the format and the checkpoint are not synced when they are made', 'durable-file.ts', [
    '    fs.sync(fd)\n',
    '',
  ]),
  mutation('the directory of the format and the checkpoint is not synced', 'durable-file.ts', [
    '  syncDirectory(fs, directory)\n',
    '',
  ]),
  mutation('contents and metadata are not synced before they get their paths', 'temporaries.ts', [
    'this.#fs.sync(fd)',
    '',
  ]),
  mutation('directories are not synced after files got their paths in them', 'tree-writes.ts', [
    '      syncs.add(parentOf(target), write.index)\n',
    '',
  ]),
  mutation('directories above new contents are not synced', 'tree-writes.ts', [
    'for (const directory of directories.above(parentOf(write.contentPath))) syncs.add(directory, index)',
    '',
  ]),
  mutation('directories are not synced after files were deleted from them', 'tree-deletes.ts', [
    'for (const index of indexes) syncs.add(nearest, index)',
    '',
  ]),
  mutation('removing a namespace deletes what was written to it since', 'namespace-removal.ts', [
    "if (kind !== 'write') continue",
    'if (kind !== null) continue',
  ]),
  mutation('a write is said to be in the tree before it is', 'materializer.ts', [
    'if (missing.size === 0) return',
    'if (missing.size >= 0) return',
  ]),
  mutation('earlier contents of keys are forgotten when the journal is written again', 'carrier.ts', [
    'const superseded = supersededOf(carried)',
    'const superseded: CarriedRecord[] = []',
  ]),
]

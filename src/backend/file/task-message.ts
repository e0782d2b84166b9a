/**
 * What a thread is sent of a task. The operations of a materialization go in columns: an object for each would be read
 * and made again field by field on the way, and those of a task that waits for its answer would outlive many others,
 * until the engine clears them away with all that is old.
 */
import type { Writer } from '../../api.js'
import type { MaterializeTask, Task, TreeOperation } from './tasks.js'

/** Stays in this process, so its form may change with any version. */
export type TaskMessage =
  | Exclude<Task, MaterializeTask>
  | (Omit<MaterializeTask, 'operations'> & { readonly operations: OperationColumns })

interface OperationColumns {
  readonly keys: readonly string[]
  readonly known: readonly (Uint32Array | undefined)[]
  /** `FIELDS` of them for each operation. */
  readonly numbers: Float64Array
  /** What operations refer to by index. */
  readonly writers: readonly Writer[]
  readonly segments: readonly string[]
}

/** Of each operation, in this order: what a delete does not have is 0. */
const KIND = 0
const REVISION = 1
const AT_MS = 2
const WRITER = 3
const WRITER_AT_S = 4
const SEGMENT = 5
const POSITION = 6
const SIZE = 7
const CRC = 8
const FIELDS = 9

const DELETE = 0
const WRITE = 1
const ANONYMOUS_WRITE = 2
/** There is no writer, or it is not known when it wrote. */
const NONE = Number.NaN

export function toMessage(task: Task): TaskMessage {
  return task.kind === 'materialize' ? { ...task, operations: toColumns(task.operations) } : task
}

export function fromMessage(message: TaskMessage): Task {
  return message.kind === 'materialize'
    ? { ...message, operations: fromColumns(message.operations) }
    : message
}

function toColumns(operations: readonly TreeOperation[]): OperationColumns {
  const writers = new Map<Writer, number>()
  const segments = new Map<string, number>()
  const numbers = new Float64Array(operations.length * FIELDS)
  operations.forEach((operation, index) => {
    const at = index * FIELDS
    numbers[at + REVISION] = operation.revision
    if (operation.kind === 'delete') return
    const { atMs, writer, writerAtS, anonymous, value } = operation
    numbers[at + KIND] = anonymous ? ANONYMOUS_WRITE : WRITE
    numbers[at + AT_MS] = atMs
    numbers[at + WRITER] = writer === null ? NONE : indexOf(writers, writer)
    numbers[at + WRITER_AT_S] = writerAtS ?? NONE
    numbers[at + SEGMENT] = indexOf(segments, value.segment)
    numbers[at + POSITION] = value.position
    numbers[at + SIZE] = value.size
    numbers[at + CRC] = value.crc
  })
  return {
    keys: operations.map(({ key }) => key),
    known: operations.map(({ known }) => known),
    numbers,
    writers: [...writers.keys()],
    segments: [...segments.keys()],
  }
}

function fromColumns({ keys, known, numbers, writers, segments }: OperationColumns): TreeOperation[] {
  return keys.map((key, index) => {
    const field = (place: number): number => numbers[index * FIELDS + place]!
    const revision = field(REVISION)
    const contents = known[index]
    const recovered = contents === undefined ? {} : { known: contents }
    if (field(KIND) === DELETE) return { kind: 'delete', key, revision, ...recovered }
    const writer = field(WRITER)
    const writerAtS = field(WRITER_AT_S)
    return {
      kind: 'write',
      key,
      revision,
      atMs: field(AT_MS),
      writer: Number.isNaN(writer) ? null : writers[writer]!,
      writerAtS: Number.isNaN(writerAtS) ? null : writerAtS,
      anonymous: field(KIND) === ANONYMOUS_WRITE,
      value: {
        segment: segments[field(SEGMENT)]!,
        position: field(POSITION),
        size: field(SIZE),
        crc: field(CRC),
      },
      ...recovered,
    }
  })
}

function indexOf<T>(indexes: Map<T, number>, item: T): number {
  const known = indexes.get(item)
  if (known !== undefined) return known
  indexes.set(item, indexes.size)
  return indexes.size - 1
}

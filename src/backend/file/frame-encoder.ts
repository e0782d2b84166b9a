import type { Writer } from '../../api.js'
import type { Plan } from '../backend.js'
import type { FramePlace } from './frame.js'

/** A record taken from another place, under the revision it has. */
export interface CarriedRecord {
  readonly namespace: string
  readonly revision: number
  readonly atMs: number
  readonly body:
    | { readonly kind: 'create' }
    | { readonly kind: 'remove' }
    | { readonly kind: 'delete'; readonly key: string }
    | {
        readonly kind: 'write'
        readonly key: string
        readonly writer: Writer | null
        readonly writerAtS: number | null
        readonly anonymous: boolean
        readonly value: Uint8Array
      }
}

/** Encodes one frame at a time; reused, so that steady load allocates nothing. */
export class FrameEncoder {
  /** Of every write in the order added: where its value starts, counted from the start of the frame. */
  readonly valueOffsets: number[] = []
  readonly valueSizes: number[] = []
  readonly valueCrcs: number[] = []

  get recordCount(): number {
    throw new Error('not written yet')
  }

  /** Header and body, padded to the alignment. */
  get frameBytes(): number {
    throw new Error('not written yet')
  }

  reset(): void {
    throw new Error('not written yet')
  }

  /** Appends all units of the plan; unit i gets `firstRevision + i`. */
  add(_plan: Plan, _firstRevision: number): void {
    throw new Error('not written yet')
  }

  addRecord(_record: CarriedRecord): void {
    throw new Error('not written yet')
  }

  /** The frame for its place. `bytes` is a view that is valid until `reset`; `crc` links the next frame to it. */
  seal(_place: FramePlace): { readonly bytes: Uint8Array; readonly crc: number } {
    throw new Error('not written yet')
  }
}

/** What callers ask to be changed, and what they are answered, whoever decides it. */
import type { ConflictPolicy, ConflictRule, DeleteResult, Durability, WriteResult, Writer } from './api.js'

export interface RequestedWrite {
  readonly kind: 'write'
  readonly key: string
  /** Nobody changes these bytes any more. */
  readonly value: Uint8Array
  readonly size: number
  readonly ifRevision: number | null | undefined
  /** What the writer saw of the key when it asked; undefined: nothing. */
  readonly seen: number | null | undefined
}

export interface RequestedDelete {
  readonly kind: 'delete'
  readonly key: string
  readonly ifRevision: number | null | undefined
  readonly seen: number | null | undefined
}

export type RequestedOperation = RequestedWrite | RequestedDelete

/** How a change is to be judged and acknowledged. */
export interface ChangeTerms {
  readonly writer: Writer | null
  readonly conflictPolicy: ConflictPolicy
  readonly detect: ConflictRule
  readonly durability: Durability
  readonly repairMetadata: boolean
}

export interface ChangeRequest {
  readonly kind: 'change'
  readonly operations: readonly RequestedOperation[]
  /** One operation asked for by itself: it is answered with its result, and errors carry no index. */
  readonly single: boolean
  readonly terms: ChangeTerms
}

export type RequestBody = ChangeRequest | { readonly kind: 'create' } | { readonly kind: 'remove' }

export type OperationResult = WriteResult | DeleteResult

/** What a request is answered with: result or results of a change; for create and remove, whether there was a change. */
export type RequestAnswer = OperationResult | readonly OperationResult[] | boolean

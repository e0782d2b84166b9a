/** How far a walk through the entries of several namespaces, one after the other, has come. */
export interface NamespaceProgress {
  readonly namespace: string
  /** Of its keys so many are done. */
  readonly keys: number
  readonly keysTotal: number
  /** Namespaces that are done, of so many. */
  readonly done: number
  readonly total: number
}

/** Every bound of a store, with its default. Sizes are in bytes, times in milliseconds. */
export interface Limits {
  /** One value; at most 1 GiB. */
  readonly valueBytesMax: number
  /** A normalized key, in UTF-8; at most 65,535. */
  readonly keyBytesMax: number
  /** The keys of one namespace. */
  readonly namespaceKeysMax: number
  /** Operations waiting in one namespace; further callers wait. Also the most operations of one batch. */
  readonly queueOperationsMax: number
  /** Values waiting in the whole store; further callers wait. Also the most bytes of one batch. At most 2 GiB. */
  readonly queueBytesMax: number
  /** Operations in one commit group. */
  readonly groupOperationsMax: number
  /** Values in one commit group. */
  readonly groupBytesMax: number
  /** Records not yet in the tree; writers wait. The journal may hold two segments (of 16 MiB) more. */
  readonly backlogBytesMax: number
  /** Keys not yet in the tree; writers wait. */
  readonly backlogKeysMax: number
  /** Keys whose files can't be written; then, or when they take half of `backlogBytesMax`, their namespaces reject `TREE_STUCK`. */
  readonly stuckKeysMax: number
  /** How long a writer waits for room on a full disk before `NO_SPACE`. */
  readonly spaceWaitMs: number
  /** Values kept in memory. */
  readonly cacheBytesMax: number
  /**
   * Names and heads kept in memory of namespaces that are not in use; about 80 bytes and its length a name. The one used
   * last stays; more of them than fit are loaded again whenever they are used in turn.
   */
  readonly headBytesMax: number
  /** Items in the buffer of an event or watch iterator. */
  readonly eventBufferMax: number
  /** Keys of which one session remembers what it saw; beyond, the oldest count as never seen. */
  readonly seenKeysMax: number
  /** Changes kept in memory for `watch({ afterRevision })`. */
  readonly historyMax: number
  /** Past conflicts that the log keeps, in memory and in its file. */
  readonly conflictLogMax: number
  /** Operations that a connection of another thread may have under way; further callers wait there. */
  readonly connectionOperationsMax: number
  /** Values under way to the store through one connection, and values under way from it. */
  readonly connectionBytesMax: number
  /** Watches of one connection. */
  readonly connectionWatchesMax: number
  /** Ports that are open at once of those made by `createPort` of one connection and of the connections it made so. */
  readonly connectionPortsMax: number
  /** Connections of other processes; further ones are turned away. */
  readonly socketConnectionsMax: number
}

const MIB = 1024 * 1024

/** What no setting may exceed: a record of the journal says in two bytes how long its key is, a frame in four how long it is. */
export const LARGEST_LIMITS: Pick<Limits, 'keyBytesMax' | 'valueBytesMax' | 'queueBytesMax'> = Object.freeze({
  keyBytesMax: 65_535,
  valueBytesMax: 1024 * MIB,
  queueBytesMax: 2048 * MIB,
})

export const DEFAULT_LIMITS: Limits = Object.freeze({
  valueBytesMax: 8 * MIB,
  keyBytesMax: 1024,
  namespaceKeysMax: 1_000_000,
  queueOperationsMax: 10_000,
  queueBytesMax: 64 * MIB,
  groupOperationsMax: 1024,
  groupBytesMax: 4 * MIB,
  backlogBytesMax: 256 * MIB,
  backlogKeysMax: 200_000,
  stuckKeysMax: 1000,
  spaceWaitMs: 2000,
  cacheBytesMax: 64 * MIB,
  headBytesMax: 64 * MIB,
  eventBufferMax: 10_000,
  seenKeysMax: 10_000,
  historyMax: 10_000,
  conflictLogMax: 1000,
  connectionOperationsMax: 1024,
  connectionBytesMax: 8 * MIB,
  connectionWatchesMax: 256,
  connectionPortsMax: 100,
  socketConnectionsMax: 1000,
})

/** Fixed by the disk layout: a component plus `.json` must fit the usual 255 bytes of a file name. */
export const COMPONENT_BYTES_MAX = 250
export const NAMESPACE_BYTES_MAX = 200

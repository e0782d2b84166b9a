/** The store id is a UUID. It is text in JSON and in tasks, and 16 bytes in frames and in the checkpoint. */

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

export function isStoreId(text: unknown): text is string {
  return typeof text === 'string' && UUID.test(text)
}

export function storeIdBytes(storeId: string): Uint8Array {
  if (!isStoreId(storeId)) throw new TypeError(`A store id is a UUID in lower case, not '${storeId}'.`)
  return Buffer.from(storeId.replaceAll('-', ''), 'hex')
}

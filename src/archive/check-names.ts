import { normalizeKey } from '../key.js'
import { validateNamespace } from '../namespace.js'
import { asKey } from './as-key.js'

/** Throws where there can be no such namespace or key, in any store; how long a key may be is the store's affair. */
export function checkNames(namespace: string, key: string): void {
  validateNamespace(namespace)
  normalizeKey(asKey(key), Infinity)
}

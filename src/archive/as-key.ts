import { trimWhiteSpace } from '../utf8.js'

/** A key as the store names it; white space at its ends would be taken for a slip where it is given. */
export function asKey(named: string): string {
  return trimWhiteSpace(named) === named ? named : `./${named}/.`
}

/**
 * Where a path of a history is kept in the store: its first folder is the namespace, the rest is the key.
 *
 *     src/a/b.ts        namespace `src`, key `a/b.ts`
 *     README.md         namespace `%root`, key `README.md`
 *
 * A name that the store does not take, or that begins with `%`, is written as `%=` and what `encodeName` makes of it.
 * Names of ours therefore begin with `%` and something else than `=`, and meet no name of any history.
 */
import { encodeName } from '../index.js'

/** Holds the files that are in no folder. */
export const ROOT_NAMESPACE = '%root'
/** Key, in each namespace, that says how far the replay has come. It is gone when the replay is over. */
export const PROGRESS_KEY = '%replay.json'

const ENCODED = '%='
const COMPONENT_BYTES_MAX = 250
const NAMESPACE_BYTES_MAX = 200

export interface Location {
  readonly namespace: string
  readonly key: string
}

/** Null where a name is too long for the store. */
export function locate(path: string): Location | null {
  const [first = '', ...rest] = path.split('/')
  const names = rest.length === 0 ? [first] : rest
  const key = names.map((name) => toName(name, COMPONENT_BYTES_MAX))
  const namespace = rest.length === 0 ? ROOT_NAMESPACE : toName(first, NAMESPACE_BYTES_MAX)
  return namespace === null || key.includes(null) ? null : { namespace, key: key.join('/') }
}

function toName(name: string, bytesMax: number): string | null {
  if (isPlain(name)) return Buffer.byteLength(name) <= bytesMax ? name : null
  try {
    const encoded = ENCODED + encodeName(name)
    return Buffer.byteLength(encoded) <= bytesMax ? encoded : null
  } catch (error) {
    if (error instanceof RangeError) return null
    throw error
  }
}

/** White space at the ends, invisible characters, and what the store or git keep for themselves. */
const SPECIAL = /^%|^[\s\u0085]|[\s\u0085]$|\p{Cc}|\p{Cf}|\.agent_state|^\.git$/iu
const SPECIAL_ON_WINDOWS =
  /[<>:"|?*\\]|\.$|^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(?:\.|$)/iu

function isPlain(name: string): boolean {
  return !SPECIAL.test(name) && !(process.platform === 'win32' && SPECIAL_ON_WINDOWS.test(name))
}

/** Suggestions for names that are not known: commander finds `--root` near to `--foo`. */
import { countEdits } from '../nearest-name.js'

const UNKNOWN = /^(unknown (?:option|command) '(.*)') \(Did you mean (?:one of )?(.+)\?\)$/

/** The message of an unknown name, without suggestions that are too far from it. */
export function nearSuggestions(message: string): string {
  const [, said, given, names] = UNKNOWN.exec(message) ?? []
  if (said === undefined || given === undefined || names === undefined) return message
  const near = names.split(', ').filter((name) => isNear(given, name))
  return near.length === 0 ? said : `${said} (did you mean ${near.join(' or ')}?)`
}

/** One slip of the hand, and one more for every four letters beyond. */
function isNear(given: string, name: string): boolean {
  const letters = name.replace(/^-+/, '')
  return countEdits(given.replace(/^-+/, ''), letters) <= Math.max(1, Math.floor(letters.length / 4))
}

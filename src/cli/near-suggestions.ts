/** Suggestions for names that are not known: commander finds `--root` near to `--foo`. */

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
  return slips(given.replace(/^-+/, ''), letters) <= Math.max(1, Math.floor(letters.length / 4))
}

/** How many letters have to be put in, taken out, changed or swapped with the next to make one text of the other. */
export function slips(from: string, to: string): number {
  let [last, row] = [[] as number[], Array.from({ length: to.length + 1 }, (_, column) => column)]
  for (let i = 1; i <= from.length; i++) {
    const before = last
    last = row
    row = [i]
    for (let j = 1; j <= to.length; j++) {
      const changed = last[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1)
      const isSwapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]
      const swapped = isSwapped ? before[j - 2]! + 1 : Infinity
      row.push(Math.min(changed, swapped, last[j]! + 1, row[j - 1]! + 1))
    }
  }
  return row.at(-1)!
}

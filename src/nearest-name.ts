/** A longer name is no slip of the finger, and comparing takes the product of the lengths. */
const NAME_LENGTH_MAX = 64

/**
 * The known name that takes the fewest edits (insert, delete, replace, swap neighbours; case does not count) from the
 * given one; null if even that one differs in more than a third of the longer name's letters, and in more than two.
 */
export function nearestName(name: string, known: readonly string[]): string | null {
  if (name.length > NAME_LENGTH_MAX) return null
  const wanted = name.toLowerCase()
  let nearest: string | null = null
  let fewest = Infinity
  for (const candidate of known) {
    const edits = countEdits(wanted, candidate.toLowerCase())
    const editsMax = Math.max(2, Math.floor(Math.max(name.length, candidate.length) / 3))
    if (edits < fewest && edits <= editsMax && edits < candidate.length) {
      nearest = candidate
      fewest = edits
    }
  }
  return nearest
}

/** Optimal string alignment distance; `rows` holds the last three rows of its table. */
function countEdits(from: string, to: string): number {
  let beforePrevious: number[] = []
  let previous = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let row = 1; row <= from.length; row++) {
    const current = [row]
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1]
      let edits = Math.min(
        (previous[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (previous[column - 1] ?? 0) + (same ? 0 : 1),
      )
      if (row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]) {
        edits = Math.min(edits, (beforePrevious[column - 2] ?? 0) + 1)
      }
      current.push(edits)
    }
    beforePrevious = previous
    previous = current
  }
  return previous[to.length] ?? 0
}

/**
 * The list with one more item; null stands for the empty list. Most lists on the way of a write have one item: a literal
 * takes just that much, where the first `push` to an empty array makes room for seventeen.
 */
export function appended<T>(list: T[] | null, item: T): T[] {
  if (list === null) return [item]
  list.push(item)
  return list
}

/** What was asked for can't be done with what was given: a bad trace, no repository, a root that is in use. */
export class InputError extends Error {
  override readonly name = 'InputError'
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

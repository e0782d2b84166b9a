/** Something to take apart again; of several, the last one first. */
export type Cleanup = () => void | Promise<void>

/** Runs all, whatever fails; the first error is thrown at the end. */
export async function cleanUp(cleanups: Cleanup[]): Promise<void> {
  const errors: unknown[] = []
  for (const cleanup of cleanups.splice(0).reverse()) {
    try {
      await cleanup()
    } catch (error) {
      errors.push(error)
    }
  }
  if (errors.length > 0) throw errors[0]
}

/** How often the function of an update is called because somebody wrote the key in between. */
import { AgentStateError, stateError } from './errors.js'

export const UPDATE_ATTEMPTS_MAX = 1000

/** Returns if the function is to be called again after this attempt; otherwise throws what its caller is told. */
export function checkAttempt(error: unknown, attempt: number): void {
  if (!AgentStateError.is(error, 'REVISION_MISMATCH')) throw error
  if (attempt < UPDATE_ATTEMPTS_MAX) return
  const { namespace, key, actualRevision } = error
  const message =
    `update: gave up after ${attempt} attempts, since key '${key}' was written during each of them; ` +
    'a function that writes the key itself would never come to an end'
  throw stateError('REVISION_MISMATCH', message, { namespace, key, actualRevision, cause: error })
}

/**
 * Pacing decides how much of what is ready goes into the next commit group. It owns two running averages: how long a commit
 * takes, and how much work in this thread an operation is.
 *
 * A backend commits one group after the other, so while one is under way the next can be prepared, and the thread and the
 * disk work at the same time. But a group that was formed takes in nobody else. So a second one is formed early only where
 * preparing it takes a fair part of a commit; otherwise whoever comes meanwhile travels with it, and fewer, larger
 * groups are worth more.
 */
const NEWEST_SHARE = 0.1

export class Pacing {
  #commitMs = 0
  #workMs = 0

  /** A commit took so long, without the time that it waited for the one before. */
  noteCommit(ms: number): void {
    this.#commitMs = average(this.#commitMs, ms)
  }

  /** So much time went into an operation, before and after its commit. */
  noteWork(ms: number, operations: number): void {
    if (operations > 0) this.#workMs = average(this.#workMs, ms / operations)
  }

  /** How many of the ready operations are to go into a group now: all, half to leave the others for the next one, or none. */
  take(ready: number, isCommitting: boolean): number {
    const workMs = ready * this.#workMs
    if (isCommitting) return workMs * 2 >= this.#commitMs ? ready : 0
    return workMs > this.#commitMs ? Math.ceil(ready / 2) : ready
  }
}

function average(before: number, newest: number): number {
  return before === 0 ? newest : before + (newest - before) * NEWEST_SHARE
}

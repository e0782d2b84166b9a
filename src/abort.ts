/** Waiting that can be given up. */

/** One listener on the signal itself, and what it calls. */
interface Listening {
  readonly callbacks: Set<() => void>
  readonly listener: () => void
}

/** What is listened to at the moment. */
const listening = new WeakMap<AbortSignal, Listening>()

/**
 * Calls back once when the signal aborts, at once if it has. One signal may guard thousands of calls, so they share one
 * listener: Node would warn of a leak otherwise. Returns a function that takes the callback back.
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  if (signal.aborted) {
    callback()
    return () => {}
  }
  const { callbacks, listener } = listening.get(signal) ?? listen(signal)
  callbacks.add(callback)
  return () => {
    if (!callbacks.delete(callback) || callbacks.size > 0) return
    listening.delete(signal)
    try {
      signal.removeEventListener('abort', listener)
    } catch {
      // A signal of the caller's making: what it throws here must not end what others wait for.
    }
  }
}

/** The promise, unless one of the signals aborts first; then its reason. */
export function orAborted<T>(
  promise: Promise<T>,
  ...signals: readonly (AbortSignal | undefined)[]
): Promise<T> {
  const given = signals.filter((signal) => signal !== undefined)
  if (given.length === 0) return promise
  return new Promise((resolve, reject) => {
    const detach: (() => void)[] = []
    // The promise may never settle: the other signals keep nothing of it either.
    const settled = (): void => {
      for (const off of detach.splice(0)) off()
    }
    promise.then(resolve, reject).then(settled, settled)
    for (const signal of given) {
      if (signal.aborted) {
        settled()
        return reject(signal.reason)
      }
      detach.push(
        onAbort(signal, () => {
          settled()
          reject(signal.reason)
        }),
      )
    }
  })
}

function listen(signal: AbortSignal): Listening {
  const callbacks = new Set<() => void>()
  const listener = (): void => {
    listening.delete(signal)
    for (const callback of callbacks) callback()
  }
  const started = { callbacks, listener }
  listening.set(signal, started)
  signal.addEventListener('abort', listener, { once: true })
  return started
}

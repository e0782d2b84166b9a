/** What the commands of `agent-state` end with. */
export const ExitCode = {
  ok: 0,
  /** It was done and something is wrong, or it could not be done to its end. */
  failed: 1,
  /** What was asked for makes no sense or can't be used. */
  usage: 2,
  /** There is no such store, namespace or key. */
  notFound: 3,
  /** A conflict under the policy `error`, another revision than expected, or something in the way; nothing was changed. */
  refused: 4,
  /** Something on the disk is damaged. */
  damaged: 5,
  /** As shells say it of a process that a signal ended: 128 and the signal's number. */
  hungUp: 129,
  interrupted: 130,
  terminated: 143,
} as const

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode]

/** For the help of commands that have no statuses of their own. */
export const EXIT_STATUS = `
Exit status: see 'agent-state help exit-codes'.`

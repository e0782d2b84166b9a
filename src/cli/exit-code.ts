/** What the commands of `agent-state` end with. */
export const ExitCode = {
  ok: 0,
  /** It was done and something is wrong, or it could not be done to its end. */
  failed: 1,
  /** What was asked for makes no sense or can't be used. */
  usage: 2,
} as const

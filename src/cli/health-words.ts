import type { RootFacts } from '../inspect/root-facts.js'
import { formatCount } from './format-values.js'

/** What there is to know about a root, in sentences; the first one sums it up. `told`: what its owner says is wrong. */
export function healthInWords(facts: RootFacts, told: readonly string[]): string[] {
  const { owner, storeId, problems, backlogKeys, clean, preserved } = facts
  const lines: string[] = []
  const damages = problems.filter(({ kind }) => kind === 'damage' || kind === 'unreadable')
  if (damages.length > 0) lines.push(`damaged: ${damages.map(({ message }) => message).join('; ')}`, ...told)
  else if (storeId === null) lines.push('the root was not made to its end; opening it makes it anew', ...told)
  else if (owner !== null) lines.push(...(told.length === 0 ? ['ok'] : told))
  else if (clean) lines.push('closed cleanly: the files show everything')
  else if (backlogKeys === 0) lines.push('not closed cleanly; the files show everything')
  else
    lines.push(
      `not closed cleanly: opening it brings ${formatCount(backlogKeys ?? 0, 'key')} from the journal into the files`,
    )
  for (const { kind, message } of problems) if (kind === 'unfinished') lines.push(message)
  if (preserved > 0)
    lines.push(
      `${formatCount(preserved, 'file')} edited after an unclean end: look into .agent_state/preserved`,
    )
  return lines
}

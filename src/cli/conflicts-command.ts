import { Command, Option } from 'commander'
import type { ConflictEvent } from '../index.js'
import { formatCount, formatTime, formatWriter } from './format-values.js'
import { EXIT_STATUS, ExitCode } from './exit-code.js'
import type { Output } from './output.js'
import { addCommonOptions, wholeNumber } from './parse-options.js'
import { runs, type CommandContext } from './run-command.js'
import { withStore } from './store-of-root.js'
import { table } from './table.js'

interface Options {
  readonly follow?: true
  readonly last?: number
}

const HELP = `
Prints who overwrote whom on which key, oldest first, refused ones too, as far as the root keeps it (the last 1,000). With
--follow, those from now on until ctrl-c; if this command is too slow for what happens, it says how many were left out.
It ends with 1 when the process that has the root open closes it; without one, it has the root open itself as long as it runs.

Examples:
  agent-state conflicts
  agent-state conflicts review-7 --last 20
  agent-state conflicts review-7 --follow --json
${EXIT_STATUS}`

export function conflictsCommand(): Command {
  return addCommonOptions(new Command('conflicts'))
    .description('show who overwrote whom')
    .argument('[namespace]', 'only of this one')
    .option('-n, --last <count>', 'only the last ones of those that are kept', wholeNumber(1))
    .addOption(new Option('-f, --follow', 'conflicts from now on, until ctrl-c').conflicts('last'))
    .addHelpText('after', HELP)
    .action(runs<[string | undefined], Options>(conflicts))
}

async function conflicts(
  context: CommandContext,
  options: Options,
  namespace: string | undefined,
): Promise<ExitCode> {
  if (options.follow === true) return follow(context, namespace)
  const past = await withStore(context, {}, (store) => store.conflicts({ namespace, signal: context.signal }))
  await printConflicts(context, past.slice(-(options.last ?? past.length)))
  return ExitCode.ok
}

async function follow(context: CommandContext, namespace: string | undefined): Promise<ExitCode> {
  await withStore(context, { once: true }, async (store) => {
    const events = store.events.iterate('conflict', { namespace, signal: context.signal })
    context.note('following conflicts, ctrl-c ends it')
    for await (const event of events) {
      if (event.type === 'lagged') await printLagged(context, event.missed)
      else await printConflicts(context, [event])
    }
  })
  context.signal.throwIfAborted()
  context.note('the owner of the root has closed it')
  return ExitCode.failed
}

/** One conflict a line. */
async function printConflicts(
  { output, json }: CommandContext,
  events: readonly ConflictEvent[],
): Promise<void> {
  const rows = json ? [] : table(events.map((event) => cellsOf(output, event)))
  for (const [index, event] of events.entries()) {
    if (json) await output.json(event)
    // What follows may be anything.
    else await output.line(`${rows[index]}  ${output.name(event.namespace)}  ${output.name(event.key)}`)
  }
}

function cellsOf(output: Output, event: ConflictEvent): string[] {
  const { current, previous, previousRevision, outcome, policy, revision, atMs } = event
  const after = `${output.name(formatWriter(previous))}${previousRevision === null ? '' : ` (${previousRevision})`}`
  const now = revision === null ? '' : ` at ${revision}`
  const what = output.style(outcome === 'refused' ? 'yellow' : 'red', `${outcome}${now}`)
  const who = `${output.name(formatWriter(current))} after ${after}`
  return [output.style('dim', formatTime(atMs)), what, who, policy]
}

async function printLagged({ output, json, note }: CommandContext, missed: number): Promise<void> {
  if (json) await output.json({ type: 'lagged', missed })
  else note(`too slow: ${formatCount(missed, 'conflict')} left out`)
}

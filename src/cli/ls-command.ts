import { Command } from 'commander'
import type { Session, Stat, Store } from '../index.js'
import { asKey } from '../archive/as-key.js'
import { CliError } from './cli-error.js'
import { formatTime, formatWriter } from './format-values.js'
import { EXIT_STATUS, ExitCode } from './exit-code.js'
import { addCommonOptions } from './parse-options.js'
import { runs, type CommandContext } from './run-command.js'
import { withStore } from './store-of-root.js'
import { columns } from './table.js'

interface Options {
  readonly prefix?: string
  readonly long?: true
  readonly null?: true
}

const HELP = `
Without NAMESPACE it lists the namespaces, else the keys of one, in the order of their bytes. On a terminal, names with
control characters are printed in double quotes and escaped; elsewhere they are printed as they are, and only -z or --json
tells a line break in a name from the end of a line.

Examples:
  agent-state ls
  agent-state ls review-7 --prefix evidence/
  agent-state ls review-7 -z | xargs -0 -n 1 agent-state get review-7 --
${EXIT_STATUS}`

export function lsCommand(): Command {
  return addCommonOptions(new Command('ls'))
    .description('list namespaces, or the keys of one')
    .argument('[namespace]')
    .option('--prefix <text>', 'only names that begin with this')
    .option('-l, --long', 'with revision, size, time and writer')
    .option('-z, --null', 'end names with a zero byte instead of a line break')
    .addHelpText('after', HELP)
    .action(runs<[string | undefined], Options>(ls))
}

async function ls(context: CommandContext, options: Options, namespace: string | undefined): Promise<void> {
  if (namespace === undefined && options.long === true)
    throw new CliError('USAGE', ExitCode.usage, '--long needs a namespace')
  await withStore(context, {}, async (store) => {
    if (namespace === undefined) await listNamespaces(context, store, options)
    else await listKeys(context, await store.resume(namespace), options)
  })
}

async function listNamespaces(context: CommandContext, store: Store, options: Options): Promise<void> {
  const { output, json, signal } = context
  for await (const namespace of store.namespaces({ prefix: options.prefix, signal })) {
    if (json) await output.json({ namespace })
    else await printName(context, namespace, options)
  }
}

/** Names are fetched, and looked at, so many at a time. */
const PAGE = 4096
const STATS_AT_ONCE = 64

async function listKeys(context: CommandContext, session: Session, options: Options): Promise<void> {
  const { output, json, signal } = context
  const { namespace } = session
  for await (const keys of pagesOfKeys(session, options.prefix, signal)) {
    for (let index = 0; index < keys.length; index += STATS_AT_ONCE) {
      const some = keys.slice(index, index + STATS_AT_ONCE)
      if (options.long !== true) {
        for (const key of some) {
          if (json) await output.json({ namespace, key })
          else await printName(context, key, options)
        }
        continue
      }
      for (const stat of await Promise.all(some.map((key) => session.stat(asKey(key), { signal })))) {
        // Deleted meanwhile.
        if (stat === null) continue
        if (json) await output.json({ namespace, ...stat })
        else await printStat(context, stat, options)
      }
    }
  }
}

/** The names of a namespace, page by page. */
export async function* pagesOfKeys(
  session: Session,
  prefix: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<string[]> {
  for (let after: string | undefined; ;) {
    const keys = await session.list({ prefix, after, limit: PAGE, signal })
    if (keys.length > 0) yield keys
    if (keys.length < PAGE) return
    after = keys.at(-1)
  }
}

async function printName({ output }: CommandContext, name: string, options: Options): Promise<void> {
  if (options.null === true) await output.write(`${name}\0`)
  else await output.line(output.name(name))
}

async function printStat(context: CommandContext, stat: Stat, options: Options): Promise<void> {
  const { output } = context
  const line = columns([
    [String(stat.revision), -9],
    [String(stat.size), -9],
    [formatTime(stat.updatedAtMs), 20],
    [output.name(formatWriter(stat.writer)), 16],
    [stat.external ? 'external' : '', 8],
  ])
  const cells = output.style('dim', line)
  if (options.null === true) await output.write(`${cells}  ${stat.key}\0`)
  else await output.line(`${cells}  ${output.name(stat.key)}`)
}

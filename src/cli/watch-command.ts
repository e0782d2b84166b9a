import { Command } from 'commander'
import type { WatchItem } from '../index.js'
import { formatWriter } from './format-values.js'
import { EXIT_STATUS, ExitCode } from './exit-code.js'
import { addCommonOptions, wholeNumber } from './parse-options.js'
import { runs, type CommandContext } from './run-command.js'
import { withStore } from './store-of-root.js'
import { columns } from './table.js'

interface Options {
  readonly prefix?: string
  readonly after?: number
  readonly initial?: true
}

const HELP = `
Prints the changes of a namespace as they become durable, until ctrl-c: the revision, 'write' or 'delete', the writer and the
key. With --initial it begins with what is there, then comes 'ready'. --after begins with the changes behind a revision, as
far as the process that owns the root has them in memory.

It watches through the process that has the root open, and ends with 1 when that one closes it. Without one, it has the root open
itself as long as it runs, and others go through it.

Examples:
  agent-state watch review-7
  agent-state watch review-7 --prefix tasks/ --initial
  agent-state watch review-7 --json | jq -r .key
${EXIT_STATUS}`

export function watchCommand(): Command {
  return addCommonOptions(new Command('watch'))
    .description('follow the changes of a namespace')
    .argument('<namespace>')
    .option('--prefix <text>', 'only keys that begin with this')
    .option('--after <revision>', 'begin with the changes after this revision', wholeNumber(0))
    .option('--initial', 'begin with what is there')
    .addHelpText('after', HELP)
    .action(runs<[string], Options>(watch))
}

async function watch(context: CommandContext, options: Options, namespace: string): Promise<ExitCode> {
  const { output, json, signal } = context
  const { prefix, after: afterRevision, initial } = options
  await withStore(context, { once: true }, async (store) => {
    const session = await store.resume(namespace)
    const items = session.watch({ prefix, afterRevision, initial, signal })
    context.note(`watching '${namespace}', ctrl-c ends it`)
    for await (const item of items) {
      if (json) await output.json(item)
      else await output.line(formatItem(context, item))
    }
  })
  signal.throwIfAborted()
  context.note('the owner of the root has closed it')
  return ExitCode.failed
}

function formatItem({ output }: CommandContext, item: WatchItem): string {
  if (item.type === 'ready')
    return columns([
      [String(item.revision), -9],
      ['ready', 0],
    ])
  const kind = item.type === 'initial' ? 'initial' : item.kind
  const cells = columns([
    [String(item.revision), -9],
    [kind, 7],
    [output.name(formatWriter(item.writer)), 16],
  ])
  return `${output.style(kind === 'delete' ? 'red' : 'green', cells)}  ${output.name(item.key)}`
}

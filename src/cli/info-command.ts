import { Command } from 'commander'
import { connectStore } from '../index.js'
import { rootFacts, type RootFacts } from '../inspect/root-facts.js'
import { treeSize } from '../inspect/tree-size.js'
import { formatBytes, formatCount } from './columns.js'
import { describeError } from './describe-error.js'
import { EXIT_STATUS, ExitCode } from './exit-code.js'
import { healthInWords } from './health-words.js'
import { ownerName } from './owner-name.js'
import { addCommonOptions } from './parse-options.js'
import { runs, type CommandContext } from './run-command.js'
import { escapeUnsafe } from './printable.js'
import { prometheusText } from './prometheus-text.js'
import { printFields } from './stat-command.js'
import { rootOf } from './store-of-root.js'

interface Options {
  readonly metrics?: true
}

const HELP = `
Looks at the files only: it does not open the root, and changes nothing. 'verify' reads every byte; this command does not.

With --metrics it asks the process that has the root open what it has counted, and prints it as Prometheus reads it.

Examples:
  agent-state info
  agent-state info --metrics
  agent-state info --json
${EXIT_STATUS}`

export function infoCommand(): Command {
  return addCommonOptions(new Command('info'))
    .description('tell about the root: format, owner, sizes, and whether all is well')
    .option('--metrics', 'what the owner of the root has counted')
    .addHelpText('after', HELP)
    .action(runs<[], Options>(info))
}

async function info(context: CommandContext, options: Options): Promise<ExitCode> {
  return options.metrics === true ? metrics(context) : facts(context)
}

async function metrics(context: CommandContext): Promise<ExitCode> {
  const { output, json, signal } = context
  const store = await connectStore({ root: rootOf(context) }, { signal })
  try {
    const counted = await store.metrics()
    if (json) await output.json(counted)
    else await output.write(prometheusText(counted))
  } finally {
    await store.close({ flush: false })
  }
  return ExitCode.ok
}

async function facts(context: CommandContext): Promise<ExitCode> {
  const { output, json, signal } = context
  const found = await rootFacts(rootOf(context))
  const tree = await treeSize(found.root, signal)
  const health = [...healthInWords(found), ...(await ownerProblems(found, signal))]
  const exitCode = found.problems.some(({ kind }) => kind === 'damage') ? ExitCode.damaged : ExitCode.ok
  if (json) {
    await output.json({ ...found, ...tree, health })
    return exitCode
  }
  await printFields(context, [
    ['root', output.name(found.root)],
    ['format', String(found.format)],
    ['store', found.storeId ?? '-'],
    ['owner', found.owner === null ? 'nobody' : ownerName(found.owner)],
    ['namespaces', tree.namespaces.toLocaleString('en-US')],
    ['keys', tree.keys.toLocaleString('en-US')],
    ['size', formatBytes(tree.bytes)],
    ['journal', `${formatBytes(found.journalBytes)} in ${formatCount(found.journalSegments, 'segment')}`],
    [
      'backlog',
      found.backlogKeys === null ? 'known to the owner only' : formatCount(found.backlogKeys, 'key'),
    ],
    ['preserved', formatCount(found.preserved, 'file')],
    ...health.map((line, index) => [index === 0 ? 'health' : '', escapeUnsafe(line)] as const),
  ])
  return exitCode
}

/** What the owner of the root says is wrong, if it has one that can be asked. */
async function ownerProblems({ root, owner }: RootFacts, signal: AbortSignal): Promise<readonly string[]> {
  if (owner === null) return []
  try {
    const store = await connectStore({ root }, { signal })
    const { problems } = await store.health()
    await store.close({ flush: false })
    return problems
  } catch (error) {
    signal.throwIfAborted()
    return [`its owner can't be asked: ${describeError(error).message}`]
  }
}

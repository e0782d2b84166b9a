import { Command } from 'commander'
import { rootFacts } from '../inspect/root-facts.js'
import { treeSize } from '../inspect/tree-size.js'
import { formatBytes, formatCount } from './columns.js'
import { EXIT_STATUS, ExitCode } from './exit-code.js'
import { healthInWords } from './health-words.js'
import { ownerName } from './owner-name.js'
import { addCommonOptions } from './parse-options.js'
import { runs, type CommandContext } from './run-command.js'
import { printFields } from './stat-command.js'
import { rootOf } from './store-of-root.js'

const HELP = `
Looks at the files only: it does not open the root, and changes nothing. 'verify' reads every byte; this command does not.

Examples:
  agent-state info
  agent-state info --json
${EXIT_STATUS}`

export function infoCommand(): Command {
  return addCommonOptions(new Command('info'))
    .description('tell about the root: format, owner, sizes, and whether all is well')
    .addHelpText('after', HELP)
    .action(runs<[]>(info))
}

async function info(context: CommandContext): Promise<ExitCode> {
  const { output, json, signal } = context
  const facts = await rootFacts(rootOf(context))
  const tree = await treeSize(facts.root, signal)
  const health = healthInWords(facts)
  const exitCode = facts.problems.some(({ kind }) => kind === 'damage') ? ExitCode.damaged : ExitCode.ok
  if (json) {
    await output.json({ ...facts, ...tree, health })
    return exitCode
  }
  await printFields(context, [
    ['root', output.name(facts.root)],
    ['format', String(facts.format)],
    ['store', facts.storeId ?? '-'],
    ['owner', facts.owner === null ? 'nobody' : ownerName(facts.owner)],
    ['namespaces', tree.namespaces.toLocaleString('en-US')],
    ['keys', tree.keys.toLocaleString('en-US')],
    ['size', formatBytes(tree.bytes)],
    ['journal', `${formatBytes(facts.journalBytes)} in ${formatCount(facts.journalSegments, 'segment')}`],
    [
      'backlog',
      facts.backlogKeys === null ? 'known to the owner only' : formatCount(facts.backlogKeys, 'key'),
    ],
    ['preserved', formatCount(facts.preserved, 'file')],
    ...health.map((line, index) => [index === 0 ? 'health' : '', line] as const),
  ])
  return exitCode
}

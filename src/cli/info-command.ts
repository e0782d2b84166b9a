import { Command } from 'commander'
import { AgentStateError, connectStore, type Store } from '../index.js'
import { rootFacts, type RootFacts } from '../inspect/root-facts.js'
import { treeSize } from '../inspect/tree-size.js'
import { CliError } from './cli-error.js'
import { formatBytes, formatCount } from './format-values.js'
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
Looks at the files, and asks the process that has the root open how it is, if there is one; it does not open the root, and
changes nothing. After an unclean end it holds the root's lock for a moment: who opens the root just then is refused, and has to
try again. 'verify' reads every byte; this command does not. It ends with 1 if that process gives no answer in three seconds or
can't write any more, and with 5 if something is damaged.

With --metrics it asks the process that has the root open what it has counted since it opened it, and prints it as Prometheus
reads it. Without such a process there is nothing to print, and it ends with 3.

Examples:
  agent-state info
  agent-state info --metrics
  agent-state info --json
${EXIT_STATUS}`

export function infoCommand(): Command {
  return addCommonOptions(new Command('info'))
    .description('show format, owner and sizes of the root, and whether all is well')
    .option('--metrics', 'what the owner of the root has counted')
    .addHelpText('after', HELP)
    .action(runs<[], Options>(info))
}

async function info(context: CommandContext, options: Options): Promise<ExitCode> {
  return options.metrics === true ? metrics(context) : facts(context)
}

async function metrics(context: CommandContext): Promise<ExitCode> {
  const { output, json, signal } = context
  const root = rootOf(context)
  const counted = await askOwner(root, signal, (store) => store.metrics()).catch((error: unknown) => {
    if (!AgentStateError.is(error, 'NO_OWNER')) throw error
    throw new CliError(
      'NO_OWNER',
      ExitCode.notFound,
      `no process that can be asked has ${root} open; metrics are there only while one has`,
    )
  })
  if (json) await output.json(counted)
  else await output.write(prometheusText(counted))
  return ExitCode.ok
}

async function facts(context: CommandContext): Promise<ExitCode> {
  const { output, json, signal } = context
  const found = await rootFacts(rootOf(context))
  const tree = await treeSize(found.root, signal)
  const told = await ownerFacts(found, signal)
  const health = healthInWords(found, told.problems)
  const backlogKeys = told.backlogKeys ?? found.backlogKeys
  const { stuckKeys } = told
  const isDamaged = found.problems.some(({ kind }) => kind === 'damage')
  const exitCode = isDamaged ? ExitCode.damaged : told.hasFailed ? ExitCode.failed : ExitCode.ok
  if (json) {
    await output.json({ ...found, ...tree, backlogKeys, stuckKeys, health })
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
    ['backlog', backlogInWords(backlogKeys, stuckKeys)],
    ['preserved', formatCount(found.preserved, 'file')],
    ...health.map((line, index) => [index === 0 ? 'health' : '', escapeUnsafe(line)] as const),
  ])
  return exitCode
}

function backlogInWords(keys: number | null, stuck: number | null): string {
  if (keys === null) return 'not known'
  return formatCount(keys, 'key') + (stuck === null || stuck === 0 ? '' : `, ${stuck} of them stuck`)
}

/** What the owner of a root says of itself; null is what nobody has said. */
interface OwnerFacts {
  readonly backlogKeys: number | null
  readonly stuckKeys: number | null
  readonly problems: readonly string[]
  /** It takes no more writes, or gives no answer. */
  readonly hasFailed: boolean
}

async function ownerFacts({ root, owner }: RootFacts, signal: AbortSignal): Promise<OwnerFacts> {
  if (owner === null) return { backlogKeys: null, stuckKeys: null, problems: [], hasFailed: false }
  try {
    return await askOwner(root, signal, async (store) => {
      const [{ status, problems }, { backend }] = await Promise.all([store.health(), store.metrics()])
      const { backlogKeys = null, stuckKeys = null } = backend ?? {}
      return { backlogKeys, stuckKeys, problems, hasFailed: status === 'failed' }
    })
  } catch (error) {
    signal.throwIfAborted()
    const problems = [`its owner can't be asked: ${describeError(error).message}`]
    // One that keeps its root for itself is none that has failed.
    return { backlogKeys: null, stuckKeys: null, problems, hasFailed: error instanceof CliError }
  }
}

/** One that was stopped takes connections, and never says a word. */
const ANSWER_MS = 3000

async function askOwner<T>(
  root: string,
  interrupted: AbortSignal,
  ask: (store: Store) => Promise<T>,
): Promise<T> {
  const late = AbortSignal.timeout(ANSWER_MS)
  const signal = AbortSignal.any([interrupted, late])
  const given = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
  const answered = (async () => {
    const store = await connectStore({ root }, { signal })
    try {
      return await ask(store)
    } finally {
      await store.close({ flush: false })
    }
  })()
  try {
    return await Promise.race([answered, given])
  } catch (error) {
    interrupted.throwIfAborted()
    if (!late.aborted) throw error
    throw new CliError(
      'NO_ANSWER',
      ExitCode.failed,
      `the owner of the root gave no answer in ${ANSWER_MS / 1000} seconds`,
    )
  }
}

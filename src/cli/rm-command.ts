import { Command } from 'commander'
import { asKey } from '../archive/as-key.js'
import type { Operation, Store } from '../index.js'
import { CliError } from './cli-error.js'
import { formatCount } from './format-values.js'
import { EXIT_STATUS, ExitCode } from './exit-code.js'
import { keyNotFound } from './get-command.js'
import { addCommonOptions, writerOf } from './parse-options.js'
import { addConditionOptions, conditionOf, tellConflict, type ConditionOptions } from './put-command.js'
import { escapeUnsafe } from './printable.js'
import { runs, type CommandContext } from './run-command.js'
import { withStore } from './store-of-root.js'

interface Options extends ConditionOptions {
  readonly force?: true
  readonly all?: true
  readonly yes?: true
}

const HELP = `
Several keys are deleted together or not at all. If one is missing, that is an error and nothing is deleted; with --force it is
none, and the others are.

'rm NAMESPACE --all' removes the namespace with everything in it; it says how many keys that would be, and does it only with
--yes. There is no way back: export it before.

Examples:
  agent-state rm review-7 plan.md
  agent-state rm review-7 plan.md --if-revision 7
  agent-state ls review-7 -z --prefix tmp/ | xargs -0 agent-state rm review-7 --
  agent-state rm review-7 --all --yes
${EXIT_STATUS}`

export function rmCommand(): Command {
  const command = addCommonOptions(new Command('rm'))
    .description('delete keys, or a whole namespace')
    .argument('<namespace>')
    .argument('[keys...]')
  return addConditionOptions(command)
    .option('-f, --force', 'a missing key is no error')
    .option('--all', 'the namespace and everything in it')
    .option('--yes', 'with --all: delete it, instead of saying what would be deleted')
    .addHelpText('after', HELP)
    .action(runs<[string, string[]], Options>(rm))
}

async function rm(
  context: CommandContext,
  options: Options,
  namespace: string,
  keys: string[],
): Promise<void> {
  checkUsage(options, keys)
  await withStore(context, { writer: writerOf(options, context.surroundings) }, async (store) => {
    if (options.all === true) await removeNamespace(context, store, namespace, options)
    else await deleteKeys(context, store, namespace, keys, options)
  })
}

function checkUsage({ all, ifRevision, policy }: Options, keys: readonly string[]): void {
  if (all === true && (keys.length > 0 || ifRevision !== undefined || policy !== undefined))
    throw usage('--all goes with no key, no revision and no policy: it removes what anybody wrote')
  if (all !== true && keys.length === 0)
    throw usage('name the keys to delete; --all deletes the whole namespace')
  if (ifRevision !== undefined && keys.length > 1) throw usage('--if-revision goes with one key')
}

function usage(message: string): CliError {
  return new CliError('USAGE', ExitCode.usage, message)
}

async function deleteKeys(
  context: CommandContext,
  store: Store,
  namespace: string,
  keys: readonly string[],
  options: Options,
): Promise<void> {
  const { output, json, signal } = context
  const session = await store.resume(namespace)
  const { ifRevision, seenRevision, ...writing } = conditionOf(options, signal)
  if (options.force !== true) {
    for (const key of keys)
      if ((await session.stat(asKey(key), { signal })) === null) throw keyNotFound(namespace, key)
  }
  const operations: Operation[] = keys.map((key) => ({ delete: asKey(key), ifRevision, seenRevision }))
  const results = await session.batch(operations, writing)
  for (const result of results) {
    tellConflict(context, result.conflict)
    if (json) await output.json({ namespace, ...result })
  }
}

async function removeNamespace(
  context: CommandContext,
  store: Store,
  namespace: string,
  { yes, force }: Options,
): Promise<void> {
  const { output, json, signal } = context
  if (force !== true || yes !== true) {
    const { length } = await (await store.resume(namespace)).list({ signal })
    if (yes !== true) {
      const count = formatCount(length, 'key')
      throw usage(
        escapeUnsafe(`this would delete namespace '${namespace}' with ${count}; add --yes to do it`),
      )
    }
  }
  const removed = await store.remove(namespace, { signal })
  if (json) await output.json({ namespace, removed })
}

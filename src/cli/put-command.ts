import { Command, Option } from 'commander'
import { asKey } from '../archive/as-key.js'
import { checkNames } from '../archive/check-names.js'
import type { Conflict, ConflictPolicy, If, WriteOptions } from '../index.js'
import { formatWriter } from './format-values.js'
import { EXIT_STATUS } from './exit-code.js'
import { addCommonOptions, addWriterOption, conflictPolicy, wholeNumber, writerOf } from './parse-options.js'
import { readValue } from './read-value.js'
import { runs, type CommandContext } from './run-command.js'
import { withStore } from './store-of-root.js'

/** What all commands that write a key may be told. */
export interface ConditionOptions {
  readonly ifRevision?: number
  readonly ifAbsent?: true
  readonly policy?: ConflictPolicy
  readonly writer?: string
}

interface Options extends ConditionOptions {
  readonly repairMetadata?: true
}

const HELP = `
The value is read from FILE, or from standard input; both may hold any bytes. A namespace that is missing is made, and so is
the root if it is named with --root; with --if-revision neither is, because the key has to be there already. If the store then
refuses the value or the key as too long, an empty namespace may be left: removing it could take what somebody else has written
there meanwhile. When the command has ended, the value survives a power cut.

Overwriting what another writer wrote is a conflict: under the policy 'ignore' (the default) and 'warn' it is told and
written all the same, under 'error' it is refused.

Examples:
  agent-state put review-7 plan.md plan.md
  echo done | agent-state put review-7 status --policy error
  agent-state put review-7 lock --if-absent < /dev/null
  agent-state put review-7 plan.md new.md --if-revision 7
${EXIT_STATUS}`

export function putCommand(): Command {
  const command = addCommonOptions(new Command('put'))
    .description('write a key')
    .argument('<namespace>')
    .argument('<key>')
    .argument('[file]', "a file, or '-' for standard input")
  return addConditionOptions(command)
    .addOption(new Option('--if-absent', 'only if the key is missing').conflicts('ifRevision'))
    .option('--repair-metadata', 'replace metadata that is damaged')
    .addHelpText('after', HELP)
    .action(runs<[string, string, string | undefined], Options>(put))
}

export function addConditionOptions(command: Command): Command {
  return addWriterOption(command)
    .option('--if-revision <n>', 'only if the key is at this revision', wholeNumber(1))
    .option('--policy <policy>', "on a conflict: 'ignore', 'warn' or 'error'", conflictPolicy)
}

async function put(
  context: CommandContext,
  options: Options,
  namespace: string,
  key: string,
  file: string | undefined,
): Promise<void> {
  const { output, json, signal } = context
  // What can't be stored makes no namespace and no root.
  checkNames(namespace, key)
  const value = await readValue(file, context.surroundings.input, signal)
  const { ifRevision, repairMetadata } = options
  const mayCreate = ifRevision === undefined
  const writer = writerOf(options, context.surroundings)
  // Without the option, the refusal says what to do.
  const metadataAdvice = repairMetadata === true ? 'they are to be replaced' : null
  await withStore(context, { writer, mayCreate, metadataAdvice }, async (store) => {
    const session = mayCreate
      ? await store.init(namespace, { signal })
      : await store.resume(namespace, { signal })
    const result = await session.write(asKey(key), value, { ...conditionOf(options, signal), repairMetadata })
    tellConflict(context, result.conflict)
    if (json) await output.json({ namespace, ...result })
    else await output.line(`revision ${result.revision}`)
  })
}

/** A revision that was named is one that the caller has seen. */
export function conditionOf(options: ConditionOptions, signal: AbortSignal): WriteOptions & If {
  const { ifRevision, ifAbsent, policy: conflictPolicy } = options
  const expected = ifAbsent === true ? null : ifRevision
  return { ifRevision: expected, seenRevision: expected, conflictPolicy, signal }
}

export function tellConflict(context: CommandContext, conflict: Conflict | null): void {
  if (conflict === null || context.json) return
  const { key, previous, previousRevision } = conflict
  const revision = previousRevision === null ? '' : ` (revision ${previousRevision})`
  context.note(`conflict: '${key}' was last written by '${formatWriter(previous)}'${revision}`)
}

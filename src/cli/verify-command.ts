import { Command } from 'commander'
import { openStore } from '../index.js'
import type { Finding, FindingKind } from '../inspect/finding.js'
import { lockQuietly, type Owner, type QuietLock } from '../inspect/quiet-lock.js'
import { verifyRoot, type VerifySummary } from '../inspect/verify-root.js'
import { CliError } from './cli-error.js'
import { formatBytes, formatCount } from './format-values.js'
import { describeError, warningText } from './describe-error.js'
import { EXIT_STATUS, ExitCode } from './exit-code.js'
import { isClosedPipe } from './output.js'
import { ownerName } from './owner-name.js'
import { addCommonOptions } from './parse-options.js'
import { escapeUnsafe, printable } from './printable.js'
import { runs, type CommandContext } from './run-command.js'
import { settleOwner, type OwnerSettler } from './settle-owner.js'
import { rootOf } from './store-of-root.js'
import { columns } from './table.js'

interface Options {
  readonly repair?: true
}

const HELP = `
Reads everything and changes nothing: every content against its checksum, the metadata against theirs, the frames of the
journal that are needed, the checkpoint, the format, and the layout. Nobody can open the root meanwhile. If a process has it
open, that is said; then contents and metadata are checked beside it, and the journal is left out.

It prints one line for everything that it finds:
  damage      the bytes are not those that were written
  unreadable  the file system refused to read
  unclear     it does not fit, but the root is being written, and its owner can't be asked
  changed     somebody else than the store changed a file; that is allowed, and shown as 'external'
  unfinished  an unclean end left it, the next opening finishes it
  leftover    it takes room and nothing else
  ignored     it is no key and no metadata

--repair opens the root, which finishes what is unfinished, brings the journal into the files, and sweeps what is left over;
then it verifies again. It guesses nothing: what only a copy can bring back, it says, and where the store's own files (format,
checkpoint, journal) are damaged in such a way, it does not open the root, because that could overwrite what was acknowledged.

Examples:
  agent-state verify
  agent-state verify --json | jq 'select(.kind == "damage")'
${EXIT_STATUS}`

export function verifyCommand(): Command {
  return addCommonOptions(new Command('verify'))
    .description('check every checksum on the disk')
    .option('--repair', 'do what opening the root does, and verify again')
    .addHelpText('after', HELP)
    .action(runs<[], Options>(verify))
}

/** Findings that nobody has read may have been of damage: that is no success. */
async function verify(context: CommandContext, options: Options): Promise<ExitCode> {
  const { output } = context
  const { gone } = output
  try {
    const exitCode = await verifyAndRepair(context, options)
    await output.end()
    gone.throwIfAborted()
    return exitCode
  } catch (error) {
    if (!gone.aborted || !isClosedPipe(gone.reason)) throw error
    throw new CliError(
      'PIPE_CLOSED',
      ExitCode.failed,
      'whoever reads the findings has stopped before their end',
    )
  }
}

async function verifyAndRepair(context: CommandContext, { repair }: Options): Promise<ExitCode> {
  const root = rootOf(context)
  const lock = await lockQuietly(root)
  if (lock.status === 'unavailable')
    context.note(`the root can't be locked (${lock.reason}); see to it that nobody opens it`)
  if (lock.status === 'owned' && repair === true) {
    const message = `${ownerName(lock.owner)} has the root open; --repair needs it closed`
    throw new CliError('STORE_OWNED', ExitCode.refused, message)
  }
  const first = await verifyUnder(context, root, lock)
  if (repair !== true) return exitCodeOf(first)
  if (!first.mayBeOpened) {
    context.note('the root was not opened: that could overwrite what was acknowledged; nothing was repaired')
    return exitCodeOf(first)
  }
  const leftOut = await openAndClose(context, root)
  if (!context.json) await context.output.line('opened and closed; once more:')
  const exitCode = exitCodeOf(await verifyUnder(context, root, await lockQuietly(root)))
  return exitCode === ExitCode.ok && leftOut > 0 ? ExitCode.failed : exitCode
}

interface Verified extends VerifySummary {
  /** Nothing was found in the store's own files that opening would not repair. */
  readonly mayBeOpened: boolean
}

async function verifyUnder(context: CommandContext, root: string, lock: QuietLock): Promise<Verified> {
  const { output, signal, status, json } = context
  let settler: OwnerSettler | null = null
  let mayBeOpened = true
  // Printing may have to wait for a slow reader; the findings are printed in their order.
  let printed: Promise<void> = Promise.resolve()
  try {
    if (lock.status === 'owned') settler = await settleOwner(context, root)
    const summary = await verifyRoot({
      ...{ root, signal },
      ...(lock.status === 'owned' ? { settle: settler?.settle ?? null } : {}),
      onFinding: (found) => {
        if (forbidsOpening(found)) mayBeOpened = false
        printed = printed.then(() => printFinding(context, found))
        // Whatever it was, `await` below reports it.
        printed.catch(() => {})
      },
      onProgress: ({ namespace, keys, keysTotal, done, total }) =>
        status.bar(done + keys / keysTotal, total, `${printable(namespace)} ${keys} of ${keysTotal}`),
    })
    status.end()
    await printed
    const owner = lock.status === 'owned' ? lock.owner : null
    if (json) await output.json({ type: 'summary', root, owner, ...summary })
    else await printSummary(context, summary, owner)
    return { ...summary, mayBeOpened }
  } finally {
    if (lock.status === 'held') lock.release()
    await settler?.close()
  }
}

/** An opening trusts its own files: it would go on behind what they say, over what is there. */
function forbidsOpening({ kind, part, repair }: Finding): boolean {
  const isOwnFile = part === 'format' || part === 'checkpoint' || part === 'journal'
  return isOwnFile && repair === null && (kind === 'damage' || kind === 'unreadable')
}

/** Recovery is what opening does. Returns how many namespaces could not be looked at. */
async function openAndClose({ signal, status, note }: CommandContext, root: string): Promise<number> {
  const store = await openStore({ root, signal })
  store.events.on('external', ({ namespace, key, preservedAs }) => {
    if (preservedAs !== null)
      note(`${namespace}/${key}: what was edited after an unclean end is now ${preservedAs}`)
  })
  store.events.on('warning', (warning) => note(warningText(warning)))
  let leftOut = 0
  try {
    // What cleans up a namespace happens when it is first used.
    for await (const namespace of store.namespaces({ signal })) {
      try {
        await (await store.resume(namespace)).list({ limit: 1, signal })
      } catch (error) {
        signal.throwIfAborted()
        leftOut++
        note(`namespace '${namespace}' could not be opened: ${describeError(error).message}`)
      }
    }
  } finally {
    await store.close({
      onProgress: (done, total) => status.bar(done, total, 'bringing the files up to date'),
    })
  }
  return leftOut
}

function exitCodeOf({ storeId, findings }: VerifySummary): ExitCode {
  if ((findings.damage ?? 0) > 0) return ExitCode.damaged
  // Without it, nothing can be told from anything.
  if (storeId === null) return ExitCode.failed
  return (findings.unreadable ?? 0) + (findings.unclear ?? 0) > 0 ? ExitCode.failed : ExitCode.ok
}

const STYLES = {
  damage: 'red',
  unreadable: 'red',
  unclear: 'yellow',
  changed: 'yellow',
  unfinished: 'cyan',
  leftover: 'dim',
  ignored: 'dim',
} as const satisfies Record<FindingKind, string>

async function printFinding({ output, json }: CommandContext, found: Finding): Promise<void> {
  const { kind, path, message, repair, advice } = found
  if (json) return output.json({ type: 'finding', ...found })
  const todo = repair === null ? advice : `opening it ${repair}`
  const cell = output.style(STYLES[kind], columns([[kind, 10]]))
  await output.line(
    `${cell}  ${output.name(path)}: ${escapeUnsafe(message)}${todo === null || todo === '' ? '' : `; ${todo}`}`,
  )
}

async function printSummary(
  { output }: CommandContext,
  summary: VerifySummary,
  owner: Owner | null,
): Promise<void> {
  const { storeId, namespaces, keys, bytes, backlogKeys, preserved, findings } = summary
  if (owner !== null) await output.line(`${ownerName(owner)} has the root open: its journal was not checked`)
  await output.line(
    `checked ${formatCount(keys, 'key')} in ${formatCount(namespaces, 'namespace')}, ${formatBytes(bytes)}`,
  )
  if (backlogKeys !== null && backlogKeys > 0)
    await output.line(
      `${formatCount(backlogKeys, 'key')} in the journal only: opening the root brings them into the files`,
    )
  if (preserved > 0)
    await output.line(
      `${formatCount(preserved, 'file')} set aside in .agent_state/preserved, edited after an unclean end`,
    )
  const damages = findings.damage ?? 0
  if (damages > 0) await output.line(output.style('red', formatCount(damages, 'damage')))
  else if (storeId === null) await output.line(output.style('yellow', 'nothing could be checked'))
  else await output.line(output.style('green', 'no damage found'))
}

import { constants, createReadStream, openSync, statSync, type Stats } from 'node:fs'
import { Socket } from 'node:net'
import { resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { Command, Option } from 'commander'
import type { ArchiveReader } from '../archive/archive-reader.js'
import { DirectoryReader, isArchiveDirectory } from '../archive/directory-reader.js'
import { importArchive, type ImportCounts } from '../archive/import-archive.js'
import { TarReader } from '../archive/tar-reader.js'
import type { ConflictPolicy, Store } from '../index.js'
import { archiveErrorOf, archiveFailure } from './archive-failure.js'
import { CliError } from './cli-error.js'
import { formatBytes, formatCount } from './format-values.js'
import { describeError } from './describe-error.js'
import { EXIT_STATUS, ExitCode } from './exit-code.js'
import { addCommonOptions, conflictPolicy } from './parse-options.js'
import { inputUntil } from './read-value.js'
import { runs, type CommandContext } from './run-command.js'
import { withStore } from './store-of-root.js'

interface Options {
  readonly ifAbsent?: true
  readonly policy?: ConflictPolicy
  readonly writer?: string
  readonly plain?: true
}

const HELP = `
Reads what 'export' writes: a directory, a tar file, or a tar stream from standard input ('-', or no SOURCE). A directory with
the layout of a root that another program made will do as well; one that a store made is whole only with the list that an export
puts into it, .agent_state/export.json. Values and writers are kept; revisions are the store's own, and the time is that of the
import. Contents are compared with their checksums. A directory that has neither such a list nor any .agent_state_meta is refused,
because it may be anything; with --plain, every folder in it becomes a namespace, and its files become keys without a writer.

Keys that are there already are not touched: by default nothing is imported then. A directory or file is read to its end
before anything is written; of a stream or pipe, what came before the failure stays, and --if-absent goes on from there: the
command then says how much that is, and ends with 1. Batches of up to 256 keys are written all or nothing. The root is made
if --root names it.

Examples:
  agent-state import backup-monday --root ./restored
  agent-state import state.tar --if-absent
  ssh host agent-state --root /srv/state export | agent-state import --policy ignore
${EXIT_STATUS}`

export function importCommand(): Command {
  return addCommonOptions(new Command('import'))
    .description('write what was exported')
    .argument('[source]', "a directory, a tar file, or '-'")
    .option('--if-absent', 'keep keys that are there')
    .addOption(
      new Option(
        '--policy <policy>',
        "overwrite keys that are there; on a conflict: 'ignore', 'warn' or 'error'",
      )
        .argParser(conflictPolicy)
        .conflicts('ifAbsent'),
    )
    .option('--plain', 'take a directory of which nothing says that it holds namespaces')
    .option('--writer <id>', 'who writes (default: as in the archive)')
    .addHelpText('after', HELP)
    .action(runs<[string | undefined], Options>(run))
}

async function run(context: CommandContext, options: Options, source: string | undefined): Promise<void> {
  const archive = readerOf(source, options, context)
  const counts = await withStore(context, { mayCreate: true, once: true, outlivesOwner: true }, (store) =>
    importInto(context, store, archive, options),
  )
  const { namespaces, keys, bytes, kept } = counts
  if (context.json) await context.output.json(counts)
  else
    await context.output.line(
      `${formatCount(keys, 'key')} in ${formatCount(namespaces, 'namespace')}, ${formatBytes(bytes)}` +
        (kept === 0 ? '' : `; ${formatCount(kept, 'key')} kept as they were`),
    )
}

async function importInto(
  context: CommandContext,
  store: Store,
  archive: ArchiveReader,
  { ifAbsent, policy, writer }: Options,
): Promise<ImportCounts> {
  const { signal, status, note } = context
  const leftOut = new LeftOut(note)
  let written = 0
  const had = (): string => `${formatCount(written, 'key')} had been imported`
  try {
    return await importArchive(store, archive, {
      ...{ policy, signal, writer: writer === undefined ? null : { writerId: writer } },
      existing: policy !== undefined ? 'overwrite' : ifAbsent === true ? 'keep' : 'refuse',
      onProgress: (step, counts) => {
        if (step === 'writing') written = counts.keys
        status.update(`${step} ${formatCount(counts.keys, 'key')}, ${formatBytes(counts.bytes)}`)
      },
      onLeftOut: (path, why) => leftOut.add(path, why),
    })
  } catch (error) {
    status.end()
    if (written === 0) return archiveFailure(error, '; no key was imported')
    if (signal.aborted) note(had())
    // A refusal would say that nothing was changed.
    const { code, message } = describeError(archiveErrorOf(error))
    throw new CliError(code, ExitCode.failed, `${message.replace(/\.$/, '')}; ${had()}`)
  } finally {
    leftOut.end()
  }
}

const NAMED_MAX = 10

/** Names the first ones that were left out, and counts the others. */
class LeftOut {
  readonly #note: (text: string) => void
  #count = 0

  constructor(note: (text: string) => void) {
    this.#note = note
  }

  add(path: string, why: string): void {
    if (++this.#count <= NAMED_MAX) this.#note(`${path} was left out: ${why}`)
  }

  end(): void {
    const more = this.#count - NAMED_MAX
    if (more > 0) this.#note(`${more.toLocaleString('en-US')} more ${more === 1 ? 'was' : 'were'} left out`)
  }
}

function readerOf(
  source: string | undefined,
  { plain }: Options,
  { surroundings, signal }: CommandContext,
): ArchiveReader {
  // The reader closes what it reads when it ends: standard input that goes on would keep the process alive.
  if (source === undefined || source === '-')
    return new TarReader(() => inputUntil(surroundings.input, signal), false)
  const path = resolve(source)
  let stats: Stats
  try {
    stats = statSync(path)
    if (stats.isDirectory() && plain !== true && !isArchiveDirectory(path)) throw noArchive(path)
  } catch (error) {
    if (error instanceof CliError) throw error
    const message = error instanceof Error ? error.message : String(error)
    throw new CliError('INPUT_UNREADABLE', ExitCode.usage, `${path} can't be read (${message})`)
  }
  if (stats.isDirectory()) return new DirectoryReader(path)
  if (stats.isFIFO()) return new TarReader(() => openPipe(path, signal), false)
  return new TarReader(() => createReadStream(path, { signal }), stats.isFile())
}

/** A file is read in another thread, which would wait for the pipe's other end, and the process for the thread. */
function openPipe(path: string, signal: AbortSignal): Readable {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  return new Socket({ fd, readable: true, writable: false, signal })
}

function noArchive(path: string): CliError {
  const message = `${path} is no export: it has neither .agent_state/export.json nor any .agent_state_meta; --plain imports every folder in it as a namespace`
  return new CliError('USAGE', ExitCode.usage, message)
}

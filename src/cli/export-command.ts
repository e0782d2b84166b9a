import { Command, Option } from 'commander'
import { ArchiveError } from '../archive/archive-error.js'
import type { ArchiveWriter } from '../archive/archive-writer.js'
import { DirectoryWriter } from '../archive/directory-writer.js'
import { exportStore, type ExportProgress } from '../archive/export-store.js'
import { TooBusyError } from '../archive/snapshot.js'
import { TarWriter } from '../archive/tar-writer.js'
import { storeIdOf } from '../inspect/root-facts.js'
import { archiveFailure } from './archive-failure.js'
import { CliError } from './cli-error.js'
import { formatBytes, formatCount } from './format-values.js'
import { EXIT_STATUS, ExitCode } from './exit-code.js'
import { addCommonOptions } from './parse-options.js'
import { printable } from './printable.js'
import { runs, type CommandContext } from './run-command.js'
import { rootOf, withStore } from './store-of-root.js'
import { fileSink, outputFailure, outputSink } from './tar-sinks.js'

interface Options {
  readonly output?: string
  readonly dir?: string
}

const HELP = `
Writes a tar stream to standard output, or to a file or a new directory. It has the layout of a root: contents at their
paths, and beside them, in .agent_state_meta, who wrote them and when, revision and checksum; at the end .agent_state/export.json,
which lists the namespaces.

Everything may go on writing meanwhile: each namespace is exported as it was at one revision, which the list at the end
names. Different namespaces may be from different moments. Values wait in the folder for temporary files (TMPDIR) until their
namespace is complete. If the process that has the root open closes it meanwhile, the export fails, and has to be made anew.

Examples:
  agent-state export > state.tar
  agent-state export review-7 | gzip > review-7.tar.gz
  agent-state export --dir backup-monday
${EXIT_STATUS}`

export function exportCommand(): Command {
  return addCommonOptions(new Command('export'))
    .description('write namespaces to a tar stream, a file or a directory')
    .argument('[namespaces...]', 'default: all')
    .option('-o, --output <file>', 'a tar file that is not there yet')
    .addOption(new Option('--dir <dir>', 'a directory that is empty or not there').conflicts('output'))
    .addHelpText('after', HELP)
    .action(runs<[string[]], Options>(run))
}

async function run(context: CommandContext, options: Options, namespaces: string[]): Promise<void> {
  const root = rootOf(context)
  const storeId = storeIdOf(root)
  const toStandardOutput = options.dir === undefined && options.output === undefined
  if (toStandardOutput && context.output.isTerminal)
    throw new CliError(
      'USAGE',
      ExitCode.usage,
      'a tar stream is not for a terminal: redirect it, or give --output or --dir',
    )
  const exported = await withStore(context, { once: true }, async (store) => {
    const archive = await openArchive(context, options).catch(archiveFailure)
    try {
      const done = await exportStore(store, archive, {
        ...{ storeId, signal: context.signal, onProgress: (progress) => showProgress(context, progress) },
        namespaces: namespaces.length === 0 ? null : [...new Set(namespaces)],
      })
      await archive.finish()
      return done
    } catch (error) {
      await archive.abandon().catch(() => {})
      if (error instanceof ArchiveError) return archiveFailure(error)
      if (error instanceof TooBusyError)
        throw new CliError('TOO_BUSY', ExitCode.failed, `${error.message}; nothing was exported`)
      throw toStandardOutput ? outputFailure(context.output, error) : error
    }
  })
  context.status.end()
  for (const { name, revision, keys, bytes } of exported) {
    if (!context.json) break
    const line = { namespace: name, revision, keys, bytes }
    if (toStandardOutput) context.status.note(JSON.stringify(line))
    else await context.output.json(line)
  }
  const keys = exported.reduce((sum, namespace) => sum + namespace.keys, 0)
  const bytes = exported.reduce((sum, namespace) => sum + namespace.bytes, 0)
  if (!context.json)
    context.note(
      `${formatCount(keys, 'key')} in ${formatCount(exported.length, 'namespace')}, ${formatBytes(bytes)}`,
    )
}

async function openArchive(context: CommandContext, { dir, output }: Options): Promise<ArchiveWriter> {
  if (dir !== undefined) return DirectoryWriter.open(dir)
  return new TarWriter(output === undefined ? outputSink(context.output) : await fileSink(output))
}

function showProgress({ status }: CommandContext, progress: ExportProgress): void {
  const { namespace, step, keys, keysTotal, done, total } = progress
  const share = keysTotal === 0 ? 1 : keys / keysTotal
  const part = step === 'reading' ? share / 2 : 0.5 + share / 2
  status.bar(done + part, total, `${step} ${printable(namespace)}, ${keys} of ${keysTotal}`)
}

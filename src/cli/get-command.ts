import { Command } from 'commander'
import { asKey } from '../archive/as-key.js'
import type { Entry } from '../index.js'
import { CliError } from './cli-error.js'
import { EXIT_STATUS, ExitCode } from './exit-code.js'
import { addCommonOptions } from './parse-options.js'
import { escapeUnsafe } from './printable.js'
import { runs, type CommandContext } from './run-command.js'
import { withStore } from './store-of-root.js'

const HELP = `
Prints exactly the bytes that were written, and nothing else. What was acknowledged is shown, also if the file at the key's
path is not that far yet. With --json the value is in the field 'value': as text, or in base64 where 'encoding' says so.
A key is taken as it is given, white space at its ends included, as in all commands.

Examples:
  agent-state get review-7 plan.md
  agent-state get review-7 image.png > image.png
${EXIT_STATUS}`

export function getCommand(): Command {
  return addCommonOptions(new Command('get'))
    .description('print the value of a key')
    .argument('<namespace>')
    .argument('<key>')
    .addHelpText('after', HELP)
    .action(runs<[string, string]>(get))
}

async function get(context: CommandContext, _options: object, namespace: string, key: string): Promise<void> {
  const { output, json, signal } = context
  const entry = await withStore(context, {}, async (store) => {
    const session = await store.resume(namespace)
    return session.entry(asKey(key), { signal })
  })
  if (entry === null) throw keyNotFound(namespace, key)
  if (json) await output.json({ namespace, ...entryToJson(entry) })
  else await output.write(entry.value)
}

export function keyNotFound(namespace: string, key: string): CliError {
  const message = escapeUnsafe(`there is no key '${key}' in namespace '${namespace}'`)
  return new CliError('KEY_NOT_FOUND', ExitCode.notFound, message)
}

function entryToJson({ value, ...stat }: Entry): object {
  const text = decodeText(value)
  return text === null
    ? { ...stat, encoding: 'base64', value: Buffer.from(value).toString('base64') }
    : { ...stat, encoding: 'utf8', value: text }
}

function decodeText(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return null
  }
}

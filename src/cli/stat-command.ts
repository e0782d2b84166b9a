import { Command } from 'commander'
import type { Stat, Store } from '../index.js'
import { formatBytes, formatCount, formatTime } from './format-values.js'
import { EXIT_STATUS } from './exit-code.js'
import { keyNotFound } from './get-command.js'
import { asKey } from '../archive/as-key.js'
import { pagesOfKeys } from './ls-command.js'
import { addCommonOptions } from './parse-options.js'
import { runs, type CommandContext } from './run-command.js'
import { withStore } from './store-of-root.js'
import { columns } from './table.js'

const HELP = `
Of a key: revision, size, time and writer, and whether its file was last changed by something else than the store
('external'). Of a namespace: how many keys and bytes, and its latest change.

Examples:
  agent-state stat review-7
  agent-state stat review-7 plan.md --json
${EXIT_STATUS}`

export function statCommand(): Command {
  return addCommonOptions(new Command('stat'))
    .description('show revision, size, time and writer of a key, or what a namespace holds in all')
    .argument('<namespace>')
    .argument('[key]')
    .addHelpText('after', HELP)
    .action(runs<[string, string | undefined]>(stat))
}

async function stat(
  context: CommandContext,
  _options: object,
  namespace: string,
  key: string | undefined,
): Promise<void> {
  await withStore(context, {}, async (store) => {
    if (key === undefined) await statNamespace(context, store, namespace)
    else await statKey(context, store, namespace, key)
  })
}

async function statKey(context: CommandContext, store: Store, namespace: string, key: string): Promise<void> {
  const { output, json, signal } = context
  const found = await (await store.resume(namespace)).stat(asKey(key), { signal })
  if (found === null) throw keyNotFound(namespace, key)
  if (json) return output.json({ namespace, ...found })
  await printFields(context, [
    ['namespace', output.name(namespace)],
    ['key', output.name(found.key)],
    ['revision', String(found.revision)],
    ['size', formatBytes(found.size)],
    ['updated', formatTime(found.updatedAtMs)],
    ...writerFields(context, found),
    ...(found.external
      ? [['external', 'its file was last changed by something else than the store'] as const]
      : []),
  ])
}

function writerFields({ output }: CommandContext, { writer }: Stat): [string, string][] {
  if (writer === null) return [['writer', '-']]
  const names = { writerId: 'writer', stageId: 'stage', sessionId: 'session', workerId: 'worker' } as const
  return Object.entries(names).flatMap(([field, name]): [string, string][] => {
    const id = writer[field as keyof typeof names]
    return id === undefined ? [] : [[name, output.name(id)]]
  })
}

const STATS_AT_ONCE = 64

async function statNamespace(context: CommandContext, store: Store, namespace: string): Promise<void> {
  const { output, json, signal, status } = context
  const session = await store.resume(namespace)
  const total = { keys: 0, bytes: 0, external: 0, revision: 0, updatedAtMs: 0 }
  for await (const keys of pagesOfKeys(session, undefined, signal)) {
    for (let index = 0; index < keys.length; index += STATS_AT_ONCE) {
      const some = keys.slice(index, index + STATS_AT_ONCE)
      for (const found of await Promise.all(some.map((key) => session.stat(asKey(key), { signal })))) {
        if (found !== null) add(total, found)
      }
      status.update(formatCount(total.keys, 'key'))
    }
  }
  status.end()
  if (json) return output.json({ namespace, ...total })
  await printFields(context, [
    ['namespace', output.name(namespace)],
    ['keys', total.keys.toLocaleString('en-US')],
    ['size', formatBytes(total.bytes)],
    ...(total.keys === 0 ? [] : [['revision', String(total.revision)] as const]),
    ...(total.keys === 0 ? [] : [['updated', formatTime(total.updatedAtMs)] as const]),
    ...(total.external === 0 ? [] : [['external', formatCount(total.external, 'key')] as const]),
  ])
}

function add(
  total: { keys: number; bytes: number; external: number; revision: number; updatedAtMs: number },
  found: Stat,
): void {
  const sum = total
  sum.keys++
  sum.bytes += found.size
  if (found.external) sum.external++
  sum.revision = Math.max(sum.revision, found.revision)
  sum.updatedAtMs = Math.max(sum.updatedAtMs, found.updatedAtMs)
}

/** Names in front of values, below each other. */
export async function printFields(
  { output }: CommandContext,
  fields: readonly (readonly [name: string, value: string])[],
): Promise<void> {
  const width = Math.max(...fields.map(([name]) => name.length))
  for (const [name, value] of fields)
    await output.line(`${columns([[output.style('dim', name), width]])}  ${value}`)
}

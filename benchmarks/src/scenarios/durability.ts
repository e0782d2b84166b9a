import { writeSync } from 'node:fs'
import { closedLoop } from '../../../dist/bench/closed-loop.js'
import { incompressibleContents } from '../../../dist/bench/contents.js'
import { contestantOf } from '../contestants/index.js'
import { runKilledPhase } from '../harness/run-cell.js'
import type { RunResult, RunSpec, Scenario } from '../harness/scenario.js'
import { settingsOf } from '../harness/writes.js'
import { ALL, cellsOf } from './common.js'

const VERSIONS_MAX = 1_000_000

export const durability: Scenario = {
  name: 'durability',
  question: 'Is what was acknowledged there after kill -9?',
  workload:
    '64 callers in a process of their own; each writes in turn a key of its own again and a new key, and prints what was acknowledged. After a random time the process is killed; another one opens the folder and compares every acknowledged key: a key that was written again must hold the last acknowledged content or a later one, a new key its content, byte for byte. A run in which anything was lost or wrong, or nothing was acknowledged, has failed, and is named below the table. (A killed process does not lose what the system holds for the disk: that flushes are asked for is what the scenario flushes shows.)',
  durability: 'acknowledged = synced to the device, for every contestant',
  repetitions: (usual) => Math.min(usual, 3),
  extraSeconds: () => 1,
  cells: (context) => cellsOf(context, ALL, { callers: [64], valueBytes: [256] }),
  run,
  phases: { writer },
  columns: [
    { measure: 'acknowledged', title: 'acknowledged' },
    { measure: 'lost', title: 'lost' },
    { measure: 'wrong', title: 'wrong content' },
    { measure: 'reopenMs', title: 'reopened after ms' },
  ],
  plots: [],
}

/** A content that tells who wrote it, and as which of his writes. */
function contentOf(contents: (index: number) => Uint8Array, caller: number, version: number): Uint8Array {
  const content = Buffer.from(contents(caller * 7919 + version))
  content.writeUInt32LE(caller, 0)
  content.writeUInt32LE(version, 4)
  return content
}

/** Even versions go to the caller's own key, odd ones each to a new key. */
function keyOf(caller: number, version: number): string {
  return version % 2 === 0 ? `own${caller}` : `new${caller}-${version}`
}

async function writer(spec: RunSpec): Promise<RunResult> {
  const settings = settingsOf(spec.parameters)
  const { callers, namespaces, valueBytes } = settings
  const contents = incompressibleContents(valueBytes)
  const opened = await contestantOf(spec.contestant).open(spec.folder, settings)
  const versions = new Uint32Array(callers)
  const { operations } = await closedLoop({
    callers,
    seconds: 600,
    operationsMax: VERSIONS_MAX,
    operation: async (caller) => {
      const version = versions[caller]!++
      await opened.write(
        caller,
        caller % namespaces,
        keyOf(caller, version),
        contentOf(contents, caller, version),
      )
      print(`${caller} ${version}\n`)
    },
  })
  return { measures: { operations } }
}

/** Into the pipe, which keeps it when this process dies; while that is full, again. */
function print(line: string): void {
  for (;;) {
    try {
      writeSync(1, line)
      return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
  }
}

async function run(spec: RunSpec): Promise<RunResult> {
  const settings = settingsOf(spec.parameters)
  const output = await runKilledPhase(
    spec,
    'writer',
    (0.1 + 0.9 * Math.random()) * spec.profile.seconds * 1000,
  )
  const acknowledged = parse(output)
  const count = [...acknowledged.values()].reduce((sum, versions) => sum + versions.length, 0)
  if (count === 0) throw new Error(`durability: nothing was acknowledged by ${spec.contestant}`)
  const begin = performance.now()
  const opened = await contestantOf(spec.contestant).open(spec.folder, settings)
  const reopenMs = performance.now() - begin
  const contents = incompressibleContents(settings.valueBytes)
  let lost = 0
  let wrong = 0
  for (const [caller, versions] of acknowledged) {
    const last = lastOfOwnKey(versions)
    for (const version of versions) {
      if (version % 2 === 0 && version !== last) continue
      const found = await opened.read!(caller % settings.namespaces, keyOf(caller, version))
      if (found === null || found.length !== settings.valueBytes) {
        lost++
        continue
      }
      const foundVersion = Buffer.from(found).readUInt32LE(4)
      if (foundVersion < version) lost++
      else if (version % 2 === 1 && foundVersion !== version) wrong++
      else if (Buffer.compare(found, contentOf(contents, caller, foundVersion)) !== 0) wrong++
    }
  }
  await opened.close()
  if (lost + wrong > 0)
    throw new Error(
      `durability: ${spec.contestant} acknowledged ${count} writes, of which ${lost} were lost and ${wrong} wrong`,
    )
  return { measures: { acknowledged: count, lost, wrong, reopenMs } }
}

function lastOfOwnKey(versions: readonly number[]): number {
  return versions.reduce((last, version) => (version % 2 === 0 && version > last ? version : last), -1)
}

/** A last line that was cut off was not acknowledged for sure. */
function parse(output: string): Map<number, number[]> {
  const acknowledged = new Map<number, number[]>()
  for (const line of output.split('\n').slice(0, -1)) {
    const [caller, version] = line.split(' ').map(Number)
    if (caller === undefined || version === undefined) continue
    const versions = acknowledged.get(caller)
    if (versions === undefined) acknowledged.set(caller, [version])
    else versions.push(version)
  }
  return acknowledged
}

import type { BenchReport } from '../bench/bench.js'
import type { MachineFacts } from '../bench/machine.js'
import type { Row } from '../bench/workloads.js'
import { table, type Align } from './table.js'

const HEAD = ['', 'callers', 'bytes', 'per second', 'with files', 'p50 µs', 'p99 µs', 'p99.9 µs']
const ALIGN: readonly Align[] = HEAD.map((_, column) => (column === 0 ? 'left' : 'right'))

export function formatBench({ machine, durability, rows, reopened, killed, ok }: BenchReport): string {
  const wrong = [...reopened.wrong, ...killed.wrong]
  return [
    ...machineLines(machine),
    '',
    ...table([HEAD, ...rows.map(cellsOf)], ALIGN),
    '',
    `${durability}. With files: until the files at their paths show it, too.`,
    `closed and opened again: ${count(reopened.keys)} keys compared, ${reopened.wrong.length} wrong`,
    `killed (SIGKILL) and opened again: ${count(killed.acknowledged)} acknowledged writes, ${count(killed.keys)} keys compared, ${killed.wrong.length} wrong`,
    ok ? 'all that was acknowledged is there' : `NOT ALL IS THERE: ${wrong.slice(0, 10).join(', ')}`,
    '',
  ].join('\n')
}

function machineLines({ flush, ...facts }: MachineFacts): string[] {
  const { cpu, cores, memoryGiB, node, platform, virtualization } = facts
  const { fileSystem, fileSystemOptions, fileSystemJournal, device, deviceKind, writeCache } = facts
  return [
    `${cpu}, ${cores} cores, ${memoryGiB} GiB; ${platform}; Node ${node}; virtualization: ${virtualization}`,
    `${fileSystem} (${fileSystemOptions}; journal: ${fileSystemJournal}) on ${device}, ${deviceKind}; write cache: ${writeCache}`,
    `a flush of 4 KiB takes ${number(flush.p50Us)} µs (p99 ${number(flush.p99Us)} µs)`,
  ]
}

function cellsOf(row: Row): string[] {
  const { workload, callers, valueBytes, perSecond, perSecondWithFiles, p50Us, p99Us, p999Us } = row
  return [
    workload,
    String(callers),
    String(valueBytes),
    number(perSecond),
    perSecondWithFiles === null ? '' : number(perSecondWithFiles),
    ...[p50Us, p99Us, p999Us].map(number),
  ]
}

/** Three digits. */
function number(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString('en-US')
}

function count(value: number): string {
  return value.toLocaleString('en-US')
}

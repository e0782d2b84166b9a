import type { Pair, Report } from './report.js'

const PAIRS_SHOWN = 10
const KEYS_SHOWN = 3
const LINES_SHOWN = 20

/** The report for people. */
export function formatReport(report: Report): string {
  const lines = [
    ...historyLines(report),
    ...replayLines(report),
    ...overwriteLines(report),
    ...skippedLines(report),
    ...verificationLines(report),
  ]
  return `${lines.join('\n')}\n`
}

function historyLines({ history, planned }: Report): string[] {
  const { commits, merges, authors, namespaces } = history
  return [
    `history        ${history.source}`,
    `               ${count(commits)} commits, ${count(merges)} of them merges, by ${count(authors)} authors`,
    `               ${count(planned.batches)} batches in ${count(namespaces)} namespaces`,
  ]
}

function replayLines(report: Report): string[] {
  const { planned, threads, seconds, writesPerSecond, kills, acknowledged, seed } = report
  const { batches, foundDurable, lost, problems, filesCompared } = acknowledged
  const keys = planned.writes + planned.deletes
  const killed = kills.length === 0 ? 'none' : `${kills.length}, after ${kills.map(count).join(', ')} batches`
  return [
    `writes         ${count(keys)} keys (${count(planned.writes)} written, ${count(planned.deletes)} deleted), ${megabytes(planned.bytes)}`,
    `agents         in ${threads === 0 ? "the store's own thread" : `${count(threads)} threads`}`,
    `speed          ${count(writesPerSecond)} writes a second, ${seconds.toFixed(1)} s with starts and kills`,
    `kills          ${killed} (seed ${seed})`,
    `acknowledged   ${count(batches)} batches; ${count(foundDurable)} more were durable when a kill came before the word of it`,
    `lost           ${lost === 0 ? 'none' : count(lost)}; ${count(filesCompared)} files were compared with the history after kills`,
    ...some(problems),
  ]
}

function overwriteLines({ overwrites }: Report): string[] {
  const { reported, unreported, pairs, wrong } = overwrites
  const more = unreported === 0 ? '' : ` (${count(unreported)} of them in batches without a word)`
  const lines = [
    `overwrites     ${count(reported + unreported)} changes of a file whose last change, by somebody else, the author had not seen${more}`,
    ...pairs.slice(0, PAIRS_SHOWN).map(pairLine),
  ]
  if (pairs.length > PAIRS_SHOWN)
    lines.push(`               and ${pairs.length - PAIRS_SHOWN} more pairs (--json)`)
  if (wrong.length === 0)
    lines.push('               the conflicts that the store reported are exactly those of the history')
  else lines.push(`WRONG          ${count(wrong.length)} conflicts are not as in the history`, ...some(wrong))
  return lines
}

/** Who overwrote the other one more often comes first. */
function pairLine({ authors, overwrites, byFirst, keys }: Pair): string {
  const bySecond = overwrites - byFirst
  const [one, other] = byFirst >= bySecond ? authors : authors.toReversed()
  const back = Math.min(byFirst, bySecond)
  const times = `${Math.max(byFirst, bySecond)}${back === 0 ? '' : ` (and back ${back})`}`
  const shown = keys.slice(0, KEYS_SHOWN).map(printable).join(', ')
  const more = keys.length > KEYS_SHOWN ? ` and ${keys.length - KEYS_SHOWN} more` : ''
  return `               ${printable(one ?? '')} over ${printable(other ?? '')} ${times}: ${shown}${more}`
}

function skippedLines({ skipped }: Report): string[] {
  if (skipped.length === 0) return []
  return [`left out       ${count(skipped.length)} paths that no key can hold`, ...some(skipped)]
}

function verificationLines({ verification, failure, ok, root }: Report): string[] {
  const lines = failure === null ? [] : [`FAILED         ${failure}`]
  if (verification === null) lines.push('verification   not done')
  else {
    const { files, bytes, differences } = verification
    lines.push(
      `verification   ${count(files)} files, ${megabytes(bytes)}, equal the history's head byte for byte`,
    )
    if (differences.length > 0)
      lines.push(`DIFFERENT      ${count(differences.length)} files`, ...some(differences))
  }
  return [...lines, ok ? 'result         all verified' : `result         NOT VERIFIED; see ${root}`]
}

function some(lines: readonly string[]): string[] {
  const shown = lines.slice(0, LINES_SHOWN).map((line) => `               ${printable(line)}`)
  const more = lines.length - shown.length
  return more > 0 ? [...shown, `               and ${count(more)} more (--json)`] : shown
}

/** Names come from the history; control characters in them are not for a terminal. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`)
}

function count(value: number): string {
  return value.toLocaleString('en-US')
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}

/** The numbers of a long run, and how they are shown. */
import { readFileSync } from 'node:fs'

/**
 * Adds up what the tests have counted (test/helpers/tally.ts).
 *
 * @param {string} file
 * @returns {Map<string, number>}
 */
export function addUp(file) {
  const sums = new Map()
  // What is being appended at this moment has no line end yet.
  for (const line of readFileSync(file, 'utf8').split('\n').slice(0, -1)) {
    const [count, ...words] = line.split(' ')
    const what = words.join(' ')
    sums.set(what, (sums.get(what) ?? 0) + Number(count))
  }
  return sums
}

/** @param {number} count */
export function inFull(count) {
  return count.toLocaleString('en-US')
}

/** @param {number} milliseconds */
export function minutesAndSeconds(milliseconds) {
  const seconds = Math.round(milliseconds / 1000)
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
}

/**
 * A table as README has it.
 *
 * @param {readonly (readonly [string, string])[]} rows
 */
export function table(rows) {
  const widths = [0, 1].map((column) => Math.max(3, ...rows.map((row) => row[column].length)))
  const line = ([what, count]) => `| ${what.padEnd(widths[0])} | ${count.padStart(widths[1])} |\n`
  const rule = `| ${'-'.repeat(widths[0])} | ${'-'.repeat(widths[1] - 1)}: |\n`
  const [head, ...others] = rows
  return `${line(head)}${rule}${others.map(line).join('')}`
}

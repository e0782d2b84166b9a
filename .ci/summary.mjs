// @ts-check
// Prints the counts of a run. Usage: node summary.mjs <vitest's JSON report> <exit status of the run>
// Exits with 0 if the run succeeded.
import { readFileSync } from 'node:fs'
import { countTests, summaryLine } from './count-tests.mjs'

const [path = '', exitStatus = '1'] = process.argv.slice(2)
const counts = countTests(readReport(path), Number(exitStatus))
console.log(summaryLine(counts))
process.exitCode = counts.failed > 0 ? 1 : 0

/**
 * @param {string} reportPath
 * @returns {string | null}
 */
function readReport(reportPath) {
  try {
    return readFileSync(reportPath, 'utf8')
  } catch {
    // A step before the tests failed.
    return null
  }
}

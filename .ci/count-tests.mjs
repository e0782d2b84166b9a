// @ts-check
/**
 * @typedef {{ passed: number, failed: number, skipped: number }} Counts
 * @typedef {{ status: string, assertionResults: { status: string }[] }} FileResult
 */

/**
 * Counts what vitest's JSON report lists. A file that failed without a failed test (it could not be loaded, a hook
 * failed) counts as one failed test, and so does a run that ended badly, or ran nothing, without naming a test.
 *
 * @param {string | null} report The text of the report; null if there is none.
 * @param {number} exitStatus Of the whole run: installing, building, checking, testing.
 * @returns {Counts}
 */
export function countTests(report, exitStatus) {
  const counts = { passed: 0, failed: 0, skipped: 0 }
  for (const file of filesOf(report)) {
    const statuses = file.assertionResults.map(({ status }) => status)
    const passed = statuses.filter((status) => status === 'passed').length
    const failed = statuses.filter((status) => status === 'failed').length
    counts.passed += passed
    counts.failed += failed === 0 && file.status === 'failed' ? 1 : failed
    counts.skipped += statuses.length - passed - failed
  }
  const nothingRan = counts.passed + counts.failed === 0
  if (counts.failed === 0 && (exitStatus !== 0 || nothingRan)) counts.failed = 1
  return counts
}

/**
 * @param {Counts} counts
 * @returns {string}
 */
export function summaryLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}

/**
 * @param {string | null} report
 * @returns {FileResult[]}
 */
function filesOf(report) {
  if (report === null) return []
  try {
    return JSON.parse(report).testResults ?? []
  } catch {
    // Cut off while it was written; without tests the run counts as failed.
    return []
  }
}

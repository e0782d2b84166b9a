/**
 * A reporter that keeps what failed, and says how to repeat just that: as a command with the seed, the form and the test.
 *
 * @typedef {{ title: string, message: string, command: string }} Failure
 */
import { relative } from 'node:path'

export class Failures {
  /** @type {Failure[]} */
  all = []
  passed = 0
  /** The tests that are running. */
  running = new Set()
  #seed = 0
  #isLong = false
  /** @readonly */
  #onFailure
  /** What is cut off has not failed. */
  isIgnoring = false

  /** @param {(failure: Failure) => void} onFailure */
  constructor(onFailure) {
    this.#onFailure = onFailure
  }

  /**
   * Of the tests that come now.
   *
   * @param {number} seed The first one.
   * @param {boolean} isLong
   */
  begin(seed, isLong) {
    this.#seed = seed
    this.#isLong = isLong
    this.running.clear()
  }

  onTestCaseReady(test) {
    this.running.add(test.name)
  }

  onTestCaseResult(test) {
    this.running.delete(test.name)
    const { state, errors } = test.result()
    if (state === 'passed') this.passed++
    if (state !== 'failed') return
    this.add(test.fullName, errors, {
      seed: test.meta().failedSeed,
      file: test.module.moduleId,
      test: test.name,
    })
  }

  onTestSuiteResult(suite) {
    const errors = suite.errors()
    if (errors.length > 0) this.add(suite.fullName, errors, { file: suite.module.moduleId })
  }

  onTestModuleEnd(module) {
    const errors = module.errors()
    if (errors.length > 0) this.add(module.relativeModuleId, errors, { file: module.moduleId })
  }

  onTestRunEnd(_modules, unhandledErrors) {
    if (unhandledErrors.length > 0) this.add('an error that nobody handled', unhandledErrors, {})
  }

  /**
   * @param {string} title
   * @param {readonly { message: string, stack?: string, cause?: unknown }[]} errors
   * @param {{ seed?: number, file?: string, test?: string }} where
   */
  add(title, errors, { seed, file, test }) {
    if (this.isIgnoring) return
    const parts = [
      'npm run test:torture --',
      `--seed ${seed ?? this.#seed} --minutes 0 ${this.#isLong ? '--long' : '--short'}`,
      file === undefined ? '' : `--only ${relative(process.cwd(), file)}`,
      test === undefined ? '' : `--test '${test.replaceAll("'", `'\\''`)}'`,
    ]
    const message = errors.map(({ stack, message: text }) => stack ?? text).join('\n')
    const failure = { title, message, command: parts.filter((part) => part !== '').join(' ') }
    this.all.push(failure)
    this.#onFailure(failure)
  }
}

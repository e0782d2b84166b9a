/** Which directories are taken for a root, and whose. */
import { chownSync, cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { findRoot } from '../../src/cli/find-root.js'
import { temporaryRoot } from './support/run-cli.js'

function makeRoot(file: string): string {
  const root = temporaryRoot()
  mkdirSync(join(root, '.agent_state'), { recursive: true })
  mkdirSync(join(root, 'below'))
  writeFileSync(join(root, '.agent_state', file), '')
  return root
}

const search = { given: undefined, environment: undefined }

test.each(['format', 'checkpoint', 'journal'])('what has a %s is a root, however damaged', (file) => {
  const root = makeRoot(file)
  expect(findRoot({ ...search, from: join(root, 'below') })).toBe(root)
  expect(findRoot({ ...search, given: root, from: '/' })).toBe(root)
})

test('a directory with the name of the store and nothing of it is none', () => {
  const root = makeRoot('notes')
  expect(() => findRoot({ ...search, given: root, from: '/' })).toThrow(/no store/)
  expect(findRoot({ ...search, given: root, from: '/', mayCreate: true })).toBe(root)
})

test('where none is found, those directly below are named', () => {
  const root = makeRoot('format')
  const outer = dirname(root)
  const findFrom = (from: string) => () => findRoot({ ...search, from })
  expect(findFrom(outer)).toThrow(`or above it; there is one in ./root: --root ./root`)
  cpSync(root, join(outer, "two's"), { recursive: true })
  expect(findFrom(outer)).toThrow("there are some below: --root ./root, --root './two'\\''s'")
  mkdirSync(join(outer, 'empty'))
  expect(findFrom(join(outer, 'empty'))).toThrow(/give --root or set AGENT_STATE_ROOT$/)
})

test('an export is none, is not passed over on the way up, and none is made of it', () => {
  const outer = makeRoot('format')
  const inner = join(outer, 'copy')
  mkdirSync(join(inner, '.agent_state'), { recursive: true })
  writeFileSync(join(inner, '.agent_state', 'export.json'), '')
  for (const where of [{ from: inner }, { from: '/', given: inner, mayCreate: true }])
    expect(() => findRoot({ ...search, ...where })).toThrow(/is an export/)
})

test.runIf(process.getuid !== undefined)('a root of another user is used only by those who name it', () => {
  const userId = process.getuid!()
  const root = makeRoot('format')
  // What belongs to the administrator is trusted by everybody.
  if (userId === 0) chownSync(join(root, '.agent_state'), 12_345, 12_345)
  const from = join(root, 'below')
  expect(() => findRoot({ ...search, from, userId: userId + 1 })).toThrow(/another user/)
  expect(findRoot({ ...search, from, given: '..', userId: userId + 1 })).toBe(root)
  expect(findRoot({ ...search, from, environment: root, userId: userId + 1 })).toBe(root)
  expect(dirname(from)).toBe(root)
})

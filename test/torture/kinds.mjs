import { readdirSync, readFileSync } from 'node:fs'

/**
 * The kinds of tests that a long run consists of. `shares`: of the time, relative to the other kinds. Kinds without a share
 * take the time they need, once: they try everything there is to try, or nothing at random.
 *
 * @typedef {{ name: string, shares: number, files: readonly string[] }} Kind
 */

/** @type {readonly Kind[]} */
export const KINDS = [
  {
    name: 'power-cuts',
    shares: 6,
    files: ['test/durability/power-cut.test.ts', 'test/durability/every-step.test.ts'],
  },
  { name: 'faults', shares: 3, files: ['test/durability/faults.test.ts'] },
  {
    name: 'kills',
    shares: 3,
    files: ['test/durability/kill-at-every-step.test.ts', 'test/store/kill.test.ts'],
  },
  {
    name: 'histories',
    shares: 3,
    files: ['test/linearizability/swarm.test.ts', 'test/linearizability/check-history.test.ts'],
  },
  {
    name: 'model',
    shares: 3,
    files: [
      'test/store/properties.test.ts',
      'test/store/file-store.test.ts',
      'test/store/concurrency.test.ts',
    ],
  },
  {
    name: 'damage',
    shares: 3,
    files: [
      'test/damage/journal.test.ts',
      'test/damage/store-files.test.ts',
      'test/damage/content.test.ts',
      'test/damage/metadata.test.ts',
    ],
  },
  {
    name: 'surroundings',
    shares: 2,
    files: [
      'test/hostile/owners.test.ts',
      'test/hostile/name-folding.test.ts',
      'test/hostile/clock.test.ts',
      'test/hostile/planted.test.ts',
    ],
  },
  { name: 'known-bad', shares: 0, files: ['test/durability/known-bad-protocols.test.ts'] },
  {
    name: 'disk-troubles',
    shares: 0,
    files: [
      'test/durability/failed-sync.test.ts',
      'test/durability/full-disk.test.ts',
      'test/durability/retained.test.ts',
      'test/durability/slow-disk.test.ts',
      'test/durability/stuck.test.ts',
      'test/durability/worker-death.test.ts',
    ],
  },
  {
    name: 'extremes',
    shares: 0,
    files: [
      'test/hostile/scale.test.ts',
      'test/hostile/limits.test.ts',
      'test/hostile/process.test.ts',
      'test/hostile/signals.test.ts',
      'test/hostile/blocked-loop.test.ts',
      'test/hostile/permissions.test.ts',
    ],
  },
  { name: 'properties', shares: 0, files: propertiesOfModules() },
  // Takes longest, and may be cut off in a short run: in another seed it would find the same.
  { name: 'mutations', shares: 0, files: ['test/durability/mutations.test.ts'] },
]

/** Tests of single modules that draw cases at random. */
function propertiesOfModules() {
  return ['test', 'test/coordinator', 'test/remote', 'test/backend/file'].flatMap((folder) =>
    readdirSync(new URL(`../../${folder}`, import.meta.url))
      .filter((name) => name.endsWith('.test.ts'))
      .map((name) => `${folder}/${name}`)
      .filter((file) =>
        readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8').includes('fc.assert('),
      ),
  )
}

/**
 * The kinds that `--only` names; a test file is a kind of its own.
 *
 * @param {readonly string[]} names
 * @returns {readonly Kind[]}
 */
export function kindsNamed(names) {
  if (names.length === 0) return KINDS
  return names.map((name) => {
    if (/\.tsx?$/.test(name)) return { name, shares: 1, files: [name] }
    const kind = KINDS.find((each) => each.name === name)
    if (kind !== undefined) return kind
    throw new RangeError(`--only takes a test file or one of ${KINDS.map((each) => each.name).join(', ')}`)
  })
}

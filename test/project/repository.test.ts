import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readManifest, repository, trackedFiles } from './repository.js'

/** Files that may be looked into as text. */
const textFiles = /(\.(ts|mjs|js|json|md|txt|sh|ya?ml)|^[^.]+|^\.[^/]+|^\.ci\/run)$/

async function linesWith(pattern: RegExp, paths: readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (const path of paths) {
    const lines = (await readFile(join(repository, path), 'utf8')).split('\n')
    lines.forEach((line, index) => {
      if (pattern.test(line)) found.push(`${path}:${index + 1}: ${line.trim().slice(0, 200)}`)
    })
  }
  return found
}

/** Of the library, and of what only `npm run bench` installs. */
const lockFiles = ['', 'benchmarks/rivals/', 'benchmarks/plots/'].map(
  (folder) => `${folder}package-lock.json`,
)

/** Absolute paths of somebody's machine, and paths that lead out of the repository. */
const foreignPaths = /(?<![\w./*-])\/(work|home|Users|root)\/\w|(?<![\w/])(\.\.\/)+shared\//

describe('the repository', () => {
  test('has at its top what a reader looks for, and nothing else', async () => {
    const expected = new Set([
      ...['README.md', 'LICENSE', 'package.json', 'package-lock.json', 'tsconfig.json'],
      ...['src', 'test', 'benchmarks'],
    ])
    const top = new Set((await trackedFiles()).map((path) => path.split('/')[0] ?? path))
    expect([...top].filter((name) => !name.startsWith('.') && !expected.has(name))).toEqual([])
    expect([...expected].filter((name) => !top.has(name))).toEqual([])
  })

  test('keeps out what is installed or built', async () => {
    const made = /(^|\/)(node_modules|dist|\.test-results|coverage)\/|\.(tgz|log)$|\.timestamp-/
    expect((await trackedFiles()).filter((path) => made.test(path))).toEqual([])
  })

  test('names no registry, so that installing uses the one that is configured', async () => {
    for (const lockFile of lockFiles) {
      const lock = await readFile(join(repository, lockFile), 'utf8')
      expect(lock).not.toContain('"resolved"')
      expect(lock).toContain('"integrity"')
    }
    const pattern = new RegExp(
      ['registry', 'npm\\.pkg', 'artifactory', 'verdaccio'].map((host) => `//${host}`).join('|'),
    )
    const settings = (await trackedFiles()).filter(
      (path) => textFiles.test(path) && !path.endsWith('.test.ts'),
    )
    expect(await linesWith(pattern, settings)).toEqual([])
    expect((await trackedFiles()).filter((path) => /(^|\/)\.(npmrc|yarnrc)/.test(path))).toEqual([])
  })

  test.each(lockFiles)(
    '%s has every package that another one may need, on other machines too',
    async (lockFile) => {
      const { packages } = JSON.parse(await readFile(join(repository, lockFile), 'utf8')) as {
        packages: Record<string, Partial<Record<'dependencies' | 'optionalDependencies', object>>>
      }
      const locked = new Set(Object.keys(packages).map((path) => path.replace(/^.*node_modules\//, '')))
      const missing = Object.entries(packages).flatMap(([path, { dependencies, optionalDependencies }]) =>
        Object.keys({ ...dependencies, ...optionalDependencies })
          .filter((name) => !locked.has(name))
          .map((name) => `${path} needs ${name}`),
      )
      expect(missing).toEqual([])
    },
  )

  test('names no path of the machine that it was written on', async () => {
    const path = (...components: readonly string[]): string => components.join('/')
    for (const place of [path('', 'home', 'me'), path('', 'work', 'main'), path('..', 'shared', 'a.md')]) {
      expect(`see ${place}`).toMatch(foreignPaths)
    }
    for (const place of ['src/work/a.ts', 'https://host/home/page', '/tmp/state', 'shared/plan.md']) {
      expect(`see ${place}`).not.toMatch(foreignPaths)
    }
    const paths = (await trackedFiles()).filter((tracked) => textFiles.test(tracked))
    expect(await linesWith(foreignPaths, paths)).toEqual([])
  })

  test('checks itself with short scripts that build on each other', async () => {
    const { scripts } = await readManifest()
    const steps = scripts['test']?.split(' && ').map((step) => step.replace(/^npm run /, '')) ?? []
    expect(steps).toEqual(['build', 'typecheck', 'lint', 'format:check', 'test:run'])
    for (const step of steps) expect(scripts).toHaveProperty([step])
  })
})

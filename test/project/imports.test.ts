import { mkdtemp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, sep } from 'node:path'
import { transform } from 'esbuild'
import { beforeAll, describe, expect, test } from 'vitest'
import { brokenRules, importCycles, readImports, undeclaredPackages, type Import } from './import-rules.js'
import { readManifest, repository } from './repository.js'

async function sourceModules(): Promise<string[]> {
  const paths = await readdir(join(repository, 'src'), { recursive: true })
  return paths.filter((path) => path.endsWith('.ts')).map((path) => `src/${path.replaceAll(sep, '/')}`)
}

describe('the modules in src', () => {
  let imports: readonly Import[]

  beforeAll(async () => {
    imports = await readImports(repository, await sourceModules())
  })

  test('keep to the import rules', () => {
    expect(imports.map(({ from }) => from)).toContain('src/index.ts')
    expect(brokenRules(imports)).toEqual([])
  })

  test('load without import cycles', () => {
    expect(importCycles(imports)).toEqual([])
  })

  test('import only packages that are installed along with this one', async () => {
    const { dependencies, peerDependencies } = await readManifest()
    const declared = new Set([...Object.keys({ ...dependencies, ...peerDependencies }), 'agent-state'])
    expect(undeclaredPackages(imports, declared)).toEqual([])
  })

  test('have no top-level await, so that require() can load them', async () => {
    const refused: string[] = []
    for (const path of await sourceModules()) {
      const message = await reasonAgainstCommonJs(await readFile(join(repository, path), 'utf8'))
      if (message !== null) refused.push(`${path}: ${message}`)
    }
    expect(refused).toEqual([])
  })

  test('reach Node modules by import alone, where the rules can see it', async () => {
    const hidden: string[] = []
    for (const path of await sourceModules()) {
      const source = await readFile(join(repository, path), 'utf8')
      if (/\b(createRequire|getBuiltinModule|mainModule)\b/.test(source)) hidden.push(path)
    }
    expect(hidden).toEqual([])
  })
})

describe('the check of the import rules', () => {
  const allowed: readonly [string, string][] = [
    ['src/backend/file/file-system.ts', 'node:fs'],
    ['src/cli/agent-state.ts', 'node:fs/promises'],
    ['src/cli/agent-state.ts', 'src/index.ts'],
    ['src/cli/agent-state.ts', 'src/replay/replay.ts'],
    ['src/replay/replay.ts', 'src/replay/trace.ts'],
    ['src/backend/file/task-runner.ts', 'piscina'],
    ['src/remote/connect.ts', 'comlink'],
    ['src/event-bus.ts', 'eventemitter3'],
    ['src/coordinator/plan.ts', 'src/backend/backend.ts'],
    ['src/remote/host-calls.ts', 'src/coordinator/coordinator.ts'],
    ['src/backend/file/worker.ts', 'src/backend/file/tree-writer.ts'],
    ['src/store.ts', 'src/backend/file/file-backend.ts'],
  ]
  const refused: readonly [string, string][] = [
    ['src/store.ts', 'node:fs'],
    ['src/backend/file/journal.ts', 'fs'],
    ['src/backend/memory.ts', 'node:fs/promises'],
    ['src/coordinator/plan.ts', 'fs/promises'],
    ['src/store.ts', 'piscina'],
    ['src/store.ts', 'piscina/dist/types.js'],
    ['src/session.ts', 'comlink'],
    ['src/store.ts', 'eventemitter3'],
    ['src/cli/agent-state.ts', 'src/store.ts'],
    ['src/replay/replay.ts', 'src/cli/agent-state.ts'],
    ['src/replay/replay.ts', 'src/key.ts'],
    ['src/coordinator/plan.ts', 'src/backend/memory.ts'],
    ['src/coordinator/plan.ts', 'src/backend/file/layout.ts'],
    ['src/backend/file/recovery.ts', 'src/coordinator/plan.ts'],
    ['src/backend/file/recovery.ts', 'src/store.ts'],
    ['src/backend/file/recovery.ts', 'src/session.ts'],
    ['src/session.ts', 'src/coordinator/reader.ts'],
    ['src/remote/client-calls.ts', 'src/coordinator/reader.ts'],
  ]

  test.each(allowed)('lets %s import %s', (from, to) => {
    expect(brokenRules([{ from, to, typeOnly: false }])).toEqual([])
  })

  test.each(refused)('names %s and its import of %s, for types too', (from, to) => {
    for (const typeOnly of [false, true]) {
      const broken = brokenRules([{ from, to, typeOnly }])
      expect(broken).toHaveLength(1)
      expect(broken[0]).toContain(`${from} imports ${to}: `)
    }
  })

  test('finds a cycle of values and leaves one of types alone', () => {
    const ring = (typeOnly: boolean): Import[] => [
      { from: 'src/a.ts', to: 'src/b.ts', typeOnly: false },
      { from: 'src/b.ts', to: 'src/c.ts', typeOnly: false },
      { from: 'src/c.ts', to: 'src/b.ts', typeOnly },
    ]
    expect(importCycles(ring(false))).toEqual(['src/b.ts -> src/c.ts -> src/b.ts'])
    expect(importCycles(ring(true))).toEqual([])
    expect(importCycles([{ from: 'src/a.ts', to: 'src/a.ts', typeOnly: false }])).toEqual([
      'src/a.ts -> src/a.ts',
    ])
  })

  test('finds packages that are not declared', () => {
    const imports: Import[] = ['uuid', 'left/side.js', '@scope/name/file.js', 'node:path', 'src/b.ts'].map(
      (to) => ({
        from: 'src/a.ts',
        to,
        typeOnly: false,
      }),
    )
    const declared = new Set(['uuid', '@scope/name'])
    expect(undeclaredPackages(imports, declared)).toEqual([
      "src/a.ts imports left/side.js: not among the package's dependencies",
    ])
  })

  test('sees every form of import and tells values from types', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'agent-state-imports-'))
    try {
      await writeModules(directory, {
        'src/a.ts': `
import fs from 'node:fs'
import type { Stats } from 'node:fs/promises'
import { b, type B } from './b.js'
import type { C } from './deep/c.js'
import './d.js'
export * from './e.js'
export type { F } from './f.js'
/** import { none } from 'comment' */
const text = "import { none } from 'string'"
export const later = () => import('piscina')
export type All = [B, C, Stats]
console.log(fs, b, text)
`,
        'src/b.ts': `export type B = 1\nexport const b = 1\n`,
        'src/deep/c.ts': `export type C = 1\n`,
        'src/d.ts': ``,
        'src/e.ts': `export const e = 1\n`,
        'src/f.ts': `export type F = 1\n`,
      })
      const imports = await readImports(directory, ['src/a.ts'])
      const names = (typeOnly: boolean): string[] =>
        imports.filter((entry) => entry.typeOnly === typeOnly).map(({ to }) => to)
      expect(names(false).toSorted()).toEqual(['node:fs', 'piscina', 'src/b.ts', 'src/d.ts', 'src/e.ts'])
      expect(names(true).toSorted()).toEqual(['node:fs/promises', 'src/deep/c.ts', 'src/f.ts'])
    } finally {
      await rm(directory, { recursive: true })
    }
  })

  test('finds top-level await, and leaves await in functions alone', async () => {
    expect(await reasonAgainstCommonJs('export const a = await open()')).toMatch(/top-level await/i)
    expect(await reasonAgainstCommonJs('for await (const a of b) c(a)')).toMatch(/top-level await/i)
    expect(await reasonAgainstCommonJs('export async function a(): Promise<void> { await b() }')).toBeNull()
  })
})

/** What the compiler says when asked for CommonJS, which has no top-level await; null if it agrees. */
async function reasonAgainstCommonJs(source: string): Promise<string | null> {
  try {
    await transform(source, { loader: 'ts', format: 'cjs', logLevel: 'silent' })
    return null
  } catch (error) {
    return String(error)
  }
}

async function writeModules(directory: string, modules: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, source] of Object.entries(modules)) {
    await mkdir(dirname(join(directory, path)), { recursive: true })
    await writeFile(join(directory, path), source)
  }
}

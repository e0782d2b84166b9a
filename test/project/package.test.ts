import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readManifest, repository, run, runToSuccess, tool } from './repository.js'

/** The registry may be slow. */
const INSTALL_TIMEOUT_MS = 600_000

let folder: string
/** A project that has installed the packed package, and nothing else. */
let consumer: string
let installed: string
let packed: string[]

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'agent-state-package-')))
  consumer = join(folder, 'consumer')
  installed = join(consumer, 'node_modules', 'agent-state')
  await mkdir(consumer)
  await writeFile(join(consumer, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  // Building again would take the built package from under the tests that run beside this one.
  const packing = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder]
  const [tarball] = JSON.parse(await runToSuccess('npm', packing, { cwd: repository })) as [
    { filename: string; files: { path: string }[] },
  ]
  packed = tarball.files.map(({ path }) => path)
  const installing = [
    'install',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    join(folder, tarball.filename),
  ]
  await runToSuccess('npm', installing, { cwd: consumer })
}, INSTALL_TIMEOUT_MS)

afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

/** Runs a script that lies in the consumer's project; answers with the JSON that it prints. */
async function runScript(name: string, source: string, ...scriptArguments: string[]): Promise<unknown> {
  await writeFile(join(consumer, name), source)
  return JSON.parse(await runToSuccess(process.execPath, [name, ...scriptArguments], { cwd: consumer }))
}

/** The part of a script behind the import: two writers, one of them overwriting the other, and a second opening. */
const USE = `
async function use(root, options = {}) {
  let store = await openStore({ root, ...options })
  const namespace = 'demo'
  let conflict
  try {
    const planner = await store.init(namespace, { writer: { writerId: 'planner' } })
    const coder = await store.resume(namespace, { writer: { writerId: 'coder' } })
    await planner.write('plan.md', 'first')
    conflict = (await coder.write('plan.md', 'second')).conflict
  } finally {
    await store.close()
  }
  store = await openStore({ root, ...options })
  try {
    const reader = await store.resume(namespace)
    const text = await reader.read('plan.md')
    return { text, previous: conflict?.previous?.writerId, keys: await reader.list() }
  } finally {
    await store.close()
  }
}
`
const USED = { text: 'second', previous: 'planner', keys: ['plan.md'] }

async function treeOf(root: string): Promise<string> {
  return readFile(join(consumer, root, 'demo', 'plan.md'), 'utf8')
}

describe('the packed package', () => {
  test('holds the built modules with their types, the trace to replay, README, license and manifest, and nothing else', () => {
    const expected =
      /^(dist\/.+\.(c?js|d\.c?ts)|dist\/replay\/fixtures\/[\w-]+\.ndjson\.gz|README\.md|LICENSE|package\.json)$/
    expect(packed.filter((path) => !expected.test(path))).toEqual([])
    expect(packed).toEqual(
      expect.arrayContaining(['LICENSE', 'README.md', 'dist/index.js', 'dist/index.d.ts']),
    )
  })

  test('holds no module whose source is gone', () => {
    const stale = packed
      .filter((path) => path.startsWith('dist/'))
      .filter(
        (path) =>
          !existsSync(
            join(repository, path.replace(/^dist/, 'src').replace(/(?:\.d)?\.(c?)[jt]s$/, '.$1ts')),
          ),
      )
    expect(stale, "run 'npm run clean && npm run build'").toEqual([])
  })

  test('points to no source map that is not there', async () => {
    const pointing: string[] = []
    for (const path of packed.filter((name) => /\.(js|d\.ts)$/.test(name))) {
      const target = /^\/\/# sourceMappingURL=(.+)$/m.exec(await readFile(join(installed, path), 'utf8'))?.[1]
      if (target !== undefined) pointing.push(`${path}: ${target}`)
    }
    expect(pointing).toEqual([])
  })

  test('has every file that its manifest names', async () => {
    const manifest = await readManifest()
    const named = [manifest.types, ...Object.values(manifest.bin), ...targetsOf(manifest.exports)]
    expect(named.length).toBeGreaterThan(4)
    expect(named.map((path) => path.replace('./', '')).filter((path) => !packed.includes(path))).toEqual([])
  })

  test('is used by a script that imports it', async () => {
    const source = `import { openStore } from 'agent-state'\n${USE}\nconsole.log(JSON.stringify(await use('imported')))\n`
    expect(await runScript('imports.js', source)).toEqual(USED)
    expect(await treeOf('imported')).toBe('second')
  })

  test.skipIf(!process.features.require_module)('is used by a script that requires it', async () => {
    const source = `const { openStore } = require('agent-state')\n${USE}\nuse('required').then((used) => console.log(JSON.stringify(used)))\n`
    expect(await runScript('requires.cjs', source)).toEqual(USED)
    expect(await treeOf('required')).toBe('second')
  })

  test('brings its command', async () => {
    const command = join(consumer, 'node_modules', '.bin', 'agent-state')
    const { status, stdout, stderr } = await run(command, ['--help'], { cwd: consumer })
    expect(status, stderr).toBe(0)
    expect(stdout).toContain('replay')
  })
})

/** Paths of `exports`, whatever the conditions. */
function targetsOf(exports: unknown): string[] {
  return typeof exports === 'string' ? [exports] : Object.values(exports as object).flatMap(targetsOf)
}

describe('the types of the packed package', () => {
  async function check(name: string, source: string): Promise<string> {
    const project = join(consumer, name)
    await mkdir(project)
    await writeFile(join(project, 'use.ts'), source)
    const compilerOptions = {
      target: 'es2023',
      module: 'nodenext',
      types: ['node'],
      strict: true,
      noEmit: true,
      noUncheckedIndexedAccess: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
    }
    await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['use.ts'] }))
    return (await run(process.execPath, [tool('tsc'), '-p', project], { cwd: consumer })).stdout
  }

  beforeAll(async () => {
    await mkdir(join(consumer, 'node_modules', '@types'))
    const types = join(repository, 'node_modules', '@types', 'node')
    await symlink(types, join(consumer, 'node_modules', '@types', 'node'))
  })

  test('are complete under the strictest settings', async () => {
    const source = `
import { openStore, type AgentStateError, type Session, type Store } from 'agent-state'

export async function use(root: string): Promise<string | null> {
  const store: Store = await openStore({ root, conflictPolicy: 'error' })
  const session: Session = await store.init('demo', { writer: { writerId: 'a' } })
  const [written, deleted] = await session.batch([{ write: 'a', value: 'x' }, { delete: 'b', ifRevision: null }])
  const revision: number = written.revision
  const gone: boolean = deleted.deleted
  for await (const event of store.events.iterate('conflict')) {
    if (event.type === 'conflict') console.log(event.key, event.previous?.writerId, revision, gone)
  }
  return session.read('a')
}

export function conflictOf(error: AgentStateError): string | undefined {
  return error.code === 'CONFLICT' ? error.conflict.key : undefined
}
`
    expect(await check('right', source)).toBe('')
  })

  test('refuse what is wrong', async () => {
    const source = `
import { openStore, type Session } from 'agent-state'
export const store = openStore({ rot: 'state' })
export const policy = openStore({ root: 'state', conflictPolicy: 'never' })
export const text = (session: Session): Promise<string> => session.read('a')
export const value = (session: Session): unknown => session.write('a', 1)
`
    const lines = (await check('wrong', source)).matchAll(/use\.ts\((\d+),/g)
    expect(new Set([...lines].map(([, line]) => Number(line)))).toEqual(new Set([3, 4, 5, 6]))
  })
})

describe('the contract that the package exports', () => {
  test("runs under a user's vitest, against a backend of the package", async () => {
    await symlink(join(repository, 'node_modules', 'vitest'), join(consumer, 'node_modules', 'vitest'))
    const source = `import { memoryBackend } from 'agent-state'
import { describeBackendContract } from 'agent-state/contract'
describeBackendContract('memory', { create: () => memoryBackend(), reopen: (closed) => closed })
`
    await writeFile(join(consumer, 'contract.test.js'), source)
    const vitest = join(repository, 'node_modules', 'vitest', 'vitest.mjs')
    const options = ['run', '--root', consumer, '--reporter', 'json', 'contract.test.js']
    const { status, stdout, stderr } = await run(process.execPath, [vitest, ...options], { cwd: consumer })
    expect(status, `${stdout}\n${stderr}`).toBe(0)
    const report = JSON.parse(stdout) as { numTotalTests: number; numPassedTests: number }
    expect(report.numTotalTests).toBeGreaterThan(10)
    expect(report.numPassedTests).toBe(report.numTotalTests)
  })
})

describe('a bundle of a program that uses the package', () => {
  test('runs without the package, given the bundled threads', async () => {
    const source = `import { openStore } from 'agent-state'
${USE}
const workerUrl = new URL('./agent-state-worker.js', import.meta.url)
const threadUrl = new URL('./agent-state-store-thread.js', import.meta.url)
const options = process.argv[3] === 'own-thread' ? { workerUrl, ownThread: true, threadUrl } : { workerUrl }
console.log(JSON.stringify(await use(process.argv[2], options)))
`
    await writeFile(join(consumer, 'bundled.js'), source)
    await build({
      absWorkingDir: consumer,
      entryPoints: {
        program: 'bundled.js',
        'agent-state-worker': 'agent-state/worker',
        'agent-state-store-thread': 'agent-state/store-thread',
      },
      bundle: true,
      platform: 'node',
      format: 'esm',
      // It starts threads from a file of its own.
      external: ['piscina'],
      outdir: 'bundle',
      logLevel: 'silent',
    })
    const hidden = `${installed}-hidden`
    await rename(installed, hidden)
    try {
      for (const args of [['bundled'], ['bundled-own', 'own-thread']]) {
        const output = await runToSuccess(process.execPath, ['bundle/program.js', ...args], { cwd: consumer })
        expect(JSON.parse(output)).toEqual(USED)
      }
    } finally {
      await rename(hidden, installed)
    }
    expect(await treeOf('bundled')).toBe('second')
    expect(await treeOf('bundled-own')).toBe('second')
  })
})

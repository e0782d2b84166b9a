import { existsSync, readFileSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { transform } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { outputMatches, programOf, readExamples, shellScriptOf, type Example } from './readme-blocks.js'
import { makeProject } from './readme-project.js'
import { readManifest, repository, run, tool, type RunResult } from './repository.js'

const readme = join(repository, 'README.md')
const examples = existsSync(readme) ? readExamples(readFileSync(readme, 'utf8')) : []
const typed = examples.filter(({ language }) => language === 'ts')
const shells = examples.filter(({ language }) => language === 'sh')

let project: string

beforeAll(async () => {
  project = await makeProject()
  await mkdir(join(project, 'programs'))
  for (const example of examples) await mkdir(folderOf(example), { recursive: true })
  for (const example of typed) await writeFile(programPath(example, 'ts'), programOf(example))
})

afterAll(async () => {
  await rm(project, { recursive: true, force: true })
})

/** A script starts in an empty folder; a shell example looks at what the script before it left. */
function folderOf(example: Example): string {
  const before = examples.slice(0, examples.indexOf(example) + 1)
  const owner = before.findLast(({ language }) => language !== 'sh') ?? before[0] ?? example
  return join(project, `line-${owner.line}`)
}

/** Programs lie beside the folders that they run in, which hold nothing but what the programs make. */
function programPath(example: Example, extension: 'ts' | 'mjs'): string {
  return join(project, 'programs', `line-${example.line}.${extension}`)
}

async function runExample(example: Example): Promise<RunResult> {
  const cwd = folderOf(example)
  const path = `${join(project, 'node_modules', '.bin')}:${process.env['PATH']}`
  if (example.language === 'sh') {
    // What npx would look up is installed: it needs no registry.
    const script = `set -eu\nnpx() { "$@"; }\n${shellScriptOf(example).run}`
    return run('sh', ['-c', script], { cwd, env: { PATH: path } })
  }
  const { code } = await transform(programOf(example), {
    loader: example.language,
    format: 'esm',
    target: 'node20',
  })
  await writeFile(programPath(example, 'mjs'), code)
  return run(process.execPath, [programPath(example, 'mjs')], { cwd })
}

describe('README.md', () => {
  test('has examples', () => {
    expect(examples.map(({ language }) => language)).toEqual(expect.arrayContaining(['js', 'sh']))
  })

  test.each(examples.map((example) => [example.line, example.language, example] as const))(
    'the example at line %i (%s) runs and prints what it says',
    async (_line, _language, example) => {
      const { status, stdout, stderr } = await runExample(example)
      expect(status, `${stdout}\n${stderr}`).toBe(0)
      if (example.expected !== null && !outputMatches(stdout, example.expected)) {
        expect(stdout, stderr).toBe(example.expected)
      }
    },
  )

  test('has types that fit in its TypeScript examples', async () => {
    // The compiler refuses to check nothing.
    await writeFile(join(project, 'any.ts'), "import 'agent-state'\n")
    const { status, stdout } = await run(process.execPath, [tool('tsc'), '-p', project], { cwd: project })
    expect(status, stdout).toBe(0)
  })

  test('names only commands that exist where it asks for what a test does not run', async () => {
    const { scripts } = await readManifest()
    for (const line of shells.flatMap((example) => shellScriptOf(example).leftOut)) {
      for (const [, name = ''] of line.matchAll(/\bnpm (?:run )?(start|test|(?<=run )\S+)/g)) {
        expect(scripts, line).toHaveProperty([name])
      }
    }
  })
})

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { transform } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { outputMatches, programOf, readExamples, shellScriptOf, type Example } from './readme-blocks.js'
import { makeProject } from './readme-project.js'
import { readManifest, repository, run, tool, type RunResult } from './repository.js'

const readme = join(repository, 'README.md')
const examples = existsSync(readme) ? readExamples(readFileSync(readme, 'utf8')) : []
const programs = examples.filter(({ language }) => language !== 'sh')
const shells = examples.filter(({ language }) => language === 'sh')

let project: string

beforeAll(async () => {
  project = await makeProject()
  await mkdir(join(project, 'programs'))
  for (const example of examples) await mkdir(folderOf(example), { recursive: true })
  for (const example of programs) await writeFile(programPath(example, 'ts'), programOf(example))
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

async function runExample(example: Example, cwd: string): Promise<RunResult> {
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

function expectWhatItSays({ expected }: Example, { status, stdout, stderr }: RunResult): void {
  expect(status, `${stdout}\n${stderr}`).toBe(0)
  // Nobody would see it, and who compares outputs would stumble over it.
  expect(stdout).not.toMatch(/[ \t]$/m)
  if (expected !== null && !outputMatches(stdout, expected)) expect(stdout, stderr).toBe(expected)
}

/** As they stand in links: small letters, hyphens for spaces, no other characters. */
function anchorsOf(markdown: string): string[] {
  const headings = [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading)
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replace(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  )
}

describe('README.md', () => {
  test('has examples', () => {
    expect(examples.map(({ language }) => language)).toEqual(expect.arrayContaining(['js', 'sh']))
  })

  test.each(examples.map((example) => [example.line, example.language, example] as const))(
    'the example at line %i (%s) runs and prints what it says',
    async (_line, _language, example) => {
      expectWhatItSays(example, await runExample(example, folderOf(example)))
    },
  )

  test('has examples that print the same one after the other in one folder', async () => {
    const folder = join(project, 'all')
    await mkdir(folder)
    for (const example of examples) expectWhatItSays(example, await runExample(example, folder))
  })

  test('links to headings and files that are there', () => {
    const markdown = readFileSync(readme, 'utf8')
    const targets = [...markdown.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)].map(([, target = '']) => target)
    const anchors = new Set(anchorsOf(markdown).map((anchor) => `#${anchor}`))
    const isThere = (target: string): boolean =>
      target.startsWith('#') ? anchors.has(target) : existsSync(join(repository, target))
    expect(targets).not.toEqual([])
    expect(targets.filter((target) => !isThere(target))).toEqual([])
  })

  test('names every code that the command line has of its own', () => {
    const folder = join(repository, 'src', 'cli')
    const sources = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'))
    const codes = sources.flatMap((source) =>
      [...source.matchAll(/new CliError\(\s*'([A-Z_]+)'/g)].map(([, code = '']) => code),
    )
    const markdown = readFileSync(readme, 'utf8')
    expect(codes).toContain('USAGE')
    expect(codes.filter((code) => !markdown.includes(`\`${code}\``))).toEqual([])
  })

  test('has examples that compile as strict TypeScript as they are', async () => {
    expect(programs).not.toEqual([])
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

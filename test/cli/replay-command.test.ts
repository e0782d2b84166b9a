import { spawn } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test, vi } from 'vitest'
import { replay } from '../../dist/replay/replay.js'
import { generateContent } from '../../src/replay/generated-content.js'
import type { Report } from '../../src/replay/report.js'
import { formatCommit } from '../../src/replay/trace.js'
import { gitRepository } from '../replay/git-repository.js'
import { commit } from '../replay/histories.js'
import { temporaryFolder } from '../replay/temporary-folder.js'
import { inProcess } from './support/run-cli.js'

const PROGRAM = fileURLToPath(new URL('../../dist/cli/agent-state.js', import.meta.url))

interface Ended {
  readonly status: number | null
  readonly output: string
  readonly errors: string
}

interface RunOptions {
  /** Where temporary folders are made. */
  readonly temporary?: string
  /** Called with what was written to standard error so far. */
  readonly onErrors?: (errors: string, interrupt: () => void) => void
}

function agentState(args: readonly string[], { temporary, onErrors }: RunOptions = {}): Promise<Ended> {
  const env = { ...process.env, ...(temporary === undefined ? {} : { TMPDIR: temporary, TEMP: temporary }) }
  const child = spawn(process.execPath, [PROGRAM, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  let errors = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
    onErrors?.(errors, () => child.kill('SIGINT'))
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (status) => resolve({ status, output, errors }))
  })
}

async function traceFile(lines: readonly string[]): Promise<string> {
  const file = join(await temporaryFolder(), 'trace.ndjson')
  await writeFile(file, lines.map((line) => `${line}\n`).join(''))
  return file
}

function reportOf({ output }: Ended): Report {
  return JSON.parse(output) as Report
}

describe('agent-state replay', () => {
  test('replays the shipped history, killed in the middle, loses nothing and ends as its head (I1, I4, I6)', async () => {
    const temporary = await temporaryFolder()
    const ended = await agentState(['replay', '--limit', '150', '--kills', '3', '--json'], { temporary })
    const report = reportOf(ended)
    const about = `seed ${report.seed}\n${ended.output}\n${ended.errors}`
    expect(ended.status, about).toBe(0)
    expect(report.kills, about).toHaveLength(3)
    for (const settled of report.kills) {
      expect(settled, about).toBeGreaterThan(0)
      expect(settled, about).toBeLessThanOrEqual(report.planned.batches)
    }
    expect(report.history, about).toMatchObject({ source: 'agents-755', commits: 150 })
    const { batches, foundDurable, lost, filesCompared } = report.acknowledged
    expect([lost, batches + foundDurable], about).toEqual([0, report.planned.batches])
    expect(filesCompared, about).toBeGreaterThan(0)
    expect(report.overwrites.wrong, about).toEqual([])
    expect(report.verification?.differences, about).toEqual([])
    expect(report.verification?.files, about).toBeGreaterThan(50)
    expect(await readdir(temporary), about).toEqual([])
  })

  test('replays a git repository into a root that is kept, and prints for people', async () => {
    const git = await gitRepository()
    const [one, two, three] = await Promise.all([git.blob('1'), git.blob('22'), git.blob('\0\xff')])
    const base = await git.commit({
      parents: [],
      entries: [
        { path: 'x/a', id: one },
        { path: 'README', id: one },
      ],
    })
    const ann = await git.commit({ parents: [base], author: 'Ann', entries: [{ path: 'x/a', id: two }] })
    const bob = await git.commit({
      parents: [base],
      author: 'Bob',
      entries: [
        { path: 'x/a', id: three },
        { path: 'README', id: null },
      ],
    })
    const merge = await git.commit({
      parents: [ann, bob],
      author: 'Ann',
      entries: [
        { path: 'README', id: null },
        { path: '%odd/ name', id: one },
      ],
    })
    await git.setHead(merge)
    const root = join(await temporaryFolder(), 'new/root')
    const command = ['replay', git.path, '--root', root, '--kills', '1', '--threads', '0']
    const { status, output, errors } = await agentState(command)
    expect(status, output + errors).toBe(0)
    expect(output).toContain('4 commits, 1 of them merges, by 2 authors')
    expect(output).toMatch(/(Ann|Bob) <\w+@example.org> over (Ann|Bob) <\w+@example.org> 1.*: x\/a/)
    expect(output).toContain('all verified')
    expect(await readFile(join(root, 'x/a'), 'utf8')).toBe('22')
    expect(await readFile(join(root, '%=%25odd/%=%20name'), 'utf8')).toBe('1')
    expect((await readdir(root)).toSorted()).toEqual(['%=%25odd', '.agent_state', 'x'])
    expect(await readdir(join(root, 'x'))).not.toContain('%replay.json')
  })

  test('stops when it is interrupted, and leaves nothing behind', async () => {
    const temporary = await temporaryFolder()
    let isInterrupted = false
    const onErrors = (errors: string, interrupt: () => void): void => {
      // The second time would end it at once.
      if (isInterrupted || !errors.includes('batches')) return
      isInterrupted = true
      interrupt()
    }
    const { status, output } = await agentState(['replay', '--kills', '0'], { temporary, onErrors })
    expect(status).toBe(130)
    expect(output).toContain('the replay was interrupted')
    expect(await readdir(temporary)).toEqual([])
  })

  test.each(['reading', 'verifying'] as const)(
    'stops while it is %s, and leaves nothing behind',
    async (step) => {
      const temporary = await temporaryFolder()
      vi.stubEnv('TMPDIR', temporary)
      const abort = new AbortController()
      const reason = new Error('enough')
      const ended = replay({
        ...{ limit: 20, kills: 0, inFlight: 8, threads: 0, signal: abort.signal },
        onProgress: ({ type }) => void (type === step && abort.abort(reason)),
      })
      await expect(ended).rejects.toBe(reason)
      vi.unstubAllEnvs()
      expect(await readdir(temporary)).toEqual([])
    },
  )

  test('ends with status 1 when a content can not be read, and names the root, which is kept', async () => {
    const temporary = await temporaryFolder()
    const git = await gitRepository()
    const content = generateContent({ kind: 'file', blob: 1, size: 100_000 })
    const [good, bad] = await Promise.all([git.blob('good'), git.blob(content)])
    const first = await git.commit({ parents: [], entries: [{ path: 'x/a', id: good }] })
    await git.setHead(await git.commit({ parents: [first], entries: [{ path: 'x/b', id: bad }] }))
    const object = join(git.path, 'objects', bad.slice(0, 2), bad.slice(2))
    const bytes = await readFile(object)
    bytes.fill(0, 50_000, 60_000)
    await chmod(object, 0o600)
    await writeFile(object, bytes)

    const { status, output, errors } = await agentState(['replay', git.path, '--kills', '0'], { temporary })
    expect(status, output + errors).toBe(1)
    expect(output).toMatch(/FAILED +.*git cat-file failed/)
    const root = /NOT VERIFIED; see (.*)\n/.exec(output)?.[1] ?? ''
    expect(root.startsWith(temporary)).toBe(true)
    expect(await readdir(root)).toContain('.agent_state')
  })

  test('says how it is used', async () => {
    const { status, output } = await inProcess(['replay', '--help'])
    expect(status).toBe(0)
    for (const word of [
      '--root',
      '--kills',
      '--seed',
      '--in-flight',
      '--json',
      'Exit status',
      'symlink',
      '%root',
    ]) {
      expect(output).toContain(word)
    }
  })

  test.each<[string, readonly string[]]>([
    ['an unknown option', ['replay', '--kill', '3']],
    ['an unknown command', ['reply']],
    ['too many paths', ['replay', 'a', 'b']],
    ['a negative number', ['replay', '--kills', '-1']],
    ['no number', ['replay', '--in-flight', 'many']],
    ['no commits in flight', ['replay', '--in-flight', '0']],
    ['a path that is not there', ['replay', '/no/such/path']],
    ['no command', []],
  ])('ends with status 2 for %s', async (_, args) => {
    const { status, output, errors } = await inProcess(args)
    expect([status, output]).toEqual([2, ''])
    expect(errors).not.toBe('')
    expect(errors).not.toContain('    at ')
  })

  test('ends with status 2 for a folder that is no repository, and for a bad trace, naming the line', async () => {
    const temporary = await temporaryFolder()
    const folder = await agentState(['replay', await temporaryFolder()], { temporary })
    expect(folder.status).toBe(2)
    expect(folder.errors).toContain('is not a git repository')
    const trace = await agentState(
      ['replay', await traceFile([formatCommit(commit(0, [], 0, {})), '{"id":1}'])],
      { temporary },
    )
    expect(trace.status).toBe(2)
    expect(trace.errors).toContain('line 2')
    expect(await readdir(temporary)).toEqual([])
  })

  test('tells what is wrong as one object with --json', async () => {
    const { status, output, errors } = await inProcess(['replay', '/no/such/path', '--json'])
    expect([status, output]).toEqual([2, ''])
    const [told, ...more] = errors.split('\n').filter((line) => line.startsWith('{'))
    expect(more).toEqual([])
    expect(JSON.parse(told ?? '')).toMatchObject({
      error: { command: 'replay', code: 'INPUT_UNUSABLE', exitCode: 2 },
    })
  })

  test('ends with status 2 for a root that holds something, and leaves it alone', async () => {
    const root = await temporaryFolder()
    await mkdir(join(root, 'mine'))
    const { status, errors } = await inProcess(['replay', '--root', root])
    expect(status).toBe(2)
    expect(errors).toContain('is not empty')
    expect(await readdir(root)).toEqual(['mine'])
    const file = join(root, 'file')
    await writeFile(file, '')
    expect((await inProcess(['replay', '--root', file])).status).toBe(2)
  })
})

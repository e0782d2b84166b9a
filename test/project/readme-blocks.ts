/**
 * Reads the examples of a Markdown text.
 *
 * Every fenced block marked `js`, `ts` or `sh` is an example. A `text` block directly behind an example is what it
 * prints; in it, `…` stands for any text in a line, and a line of `…` alone for any number of lines. A word behind the
 * language says how the example is to be read:
 * - `fragment`: runs with `store` and `session` of a fresh store at `./state` in scope, which is closed afterwards;
 * - `continue`: goes on where the block before it ended, as one program with it.
 */
export interface Example {
  readonly language: 'js' | 'ts' | 'sh'
  /** Line of the first fence, counted from 1. */
  readonly line: number
  readonly code: string
  readonly fragment: boolean
  /** Null: whatever it prints is fine. */
  readonly expected: string | null
}

interface Block {
  readonly language: string
  readonly words: readonly string[]
  readonly line: number
  readonly code: string
  /** No text between it and the block before. */
  readonly adjacent: boolean
}

const OTHER_NAMES = new Map([
  ...['javascript', 'mjs', 'cjs', 'node'].map((name) => [name, 'js'] as const),
  ...['typescript', 'mts', 'cts', 'tsx'].map((name) => [name, 'ts'] as const),
  ...['bash', 'shell', 'console', 'zsh', 'shellsession', 'sh-session'].map((name) => [name, 'sh'] as const),
])

export function readExamples(markdown: string): Example[] {
  const examples: Example[] = []
  let previous: 'example' | 'output' | 'other' = 'other'
  for (const block of readBlocks(markdown)) {
    const { language, line } = block
    const known = OTHER_NAMES.get(language.toLowerCase())
    if (known !== undefined)
      throw new Error(`line ${line}: mark the block '${known}', not '${language}', to have it run`)
    const last = examples.at(-1)
    if (language === 'text' && block.adjacent && previous === 'example' && last !== undefined) {
      examples[examples.length - 1] = { ...last, expected: (last.expected ?? '') + block.code }
      previous = 'output'
    } else if (language === 'js' || language === 'ts' || language === 'sh') {
      addExample(examples, { ...block, language })
      previous = 'example'
    } else {
      previous = 'other'
    }
  }
  return examples
}

function addExample(examples: Example[], block: Block & Pick<Example, 'language'>): void {
  const { language, line, code, words } = block
  const unknown = words.filter((word) => word !== 'fragment' && word !== 'continue')
  if (unknown.length > 0) throw new Error(`line ${line}: '${unknown.join(' ')}' means nothing here`)
  const fragment = words.includes('fragment')
  if (fragment && language === 'sh') throw new Error(`line ${line}: a fragment is js or ts`)
  if (!words.includes('continue')) {
    examples.push({ language, line, code, fragment, expected: null })
    return
  }
  const last = examples.at(-1)
  if (last?.language !== language || fragment) {
    throw new Error(`line ${line}: there is no ${language} block before it that it could continue`)
  }
  examples[examples.length - 1] = { ...last, code: last.code + code }
}

function readBlocks(markdown: string): Block[] {
  const blocks: Block[] = []
  const lines = markdown.split(/\r?\n/)
  let adjacent = false
  for (let index = 0; index < lines.length; index++) {
    const opening = /^( *)(`{3,}|~{3,})\s*([^\s`]*)([^`]*)$/.exec(lines[index] ?? '')
    if (opening === null) {
      if (lines[index]?.trim() !== '') adjacent = false
      continue
    }
    const [, indentation = '', fence = '', language = '', rest = ''] = opening
    const closing = new RegExp(`^ *${fence[0]}{${fence.length},} *$`)
    const start = index
    const code: string[] = []
    for (index++; index < lines.length && !closing.test(lines[index] ?? ''); index++) {
      code.push(withoutIndentation(lines[index] ?? '', indentation.length))
    }
    if (index >= lines.length) throw new Error(`line ${start + 1}: the block does not end`)
    const words = rest.split(/\s+/).filter((word) => word !== '')
    blocks.push({
      language,
      words,
      line: start + 1,
      code: code.map((line) => `${line}\n`).join(''),
      adjacent,
    })
    adjacent = true
  }
  return blocks
}

function withoutIndentation(line: string, width: number): string {
  return line.replace(new RegExp(`^ {0,${width}}`), '')
}

/** Whether the output is what an example's `text` block says; spaces at the ends of lines can't be seen there. */
export function outputMatches(actual: string, expected: string): boolean {
  const pattern = withoutInvisibleEnds(expected)
    .split('\n')
    .map((line) =>
      line.trim() === '…' ? '(?:[^\\n]*\\n)*' : `${line.split('…').map(escaped).join('[^\\n]*')}\\n`,
    )
    .join('')
  return new RegExp(`^${pattern}$`).test(`${withoutInvisibleEnds(actual)}\n`)
}

function withoutInvisibleEnds(output: string): string {
  return output.replace(/[ \t\r]+$/gm, '').trimEnd()
}

function escaped(literal: string): string {
  return literal.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')
}

/** The program of a `js` or `ts` example as a module of its own. */
export function programOf({ code, fragment }: Example): string {
  if (!fragment) return code
  const imports: string[] = ["import { openStore } from 'agent-state'"]
  const body = code.replace(/^import\s[^'"]*['"][^'"]*['"];?$/gm, (statement) => {
    // A fragment may name what it is given all the same.
    if (!/\bopenStore\b/.test(statement)) imports.push(statement)
    return ''
  })
  return `${imports.join('\n')}
const store = await openStore({ root: './state', writer: { writerId: 'example' } })
try {
  const session = await store.init('example')
${body}
} finally {
  await store.close()
}
`
}

/** Commands of a `sh` example that a test can't run, and why. */
export const COMMANDS_NOT_RUN: readonly { readonly command: RegExp; readonly reason: string }[] = [
  { command: /^npm ci\b/, reason: 'it would replace the packages that the tests run with' },
  { command: /^npm (start|test)\b/, reason: 'it runs this test, or all there is' },
  { command: /^npm (install|i) agent-state\b/, reason: 'the package is tested packed, not published' },
  { command: /^git clone\b/, reason: 'the repository is here already' },
]

export interface ShellScript {
  readonly run: string
  /** Lines left out, each because of one of `COMMANDS_NOT_RUN`. */
  readonly leftOut: readonly string[]
}

export function shellScriptOf({ code }: Example): ShellScript {
  const lines = code.split('\n').map((line) => line.replace(/^\$ /, ''))
  const isLeftOut = (line: string): boolean => COMMANDS_NOT_RUN.some(({ command }) => command.test(line))
  return {
    run: lines.filter((line) => !isLeftOut(line)).join('\n'),
    leftOut: lines.filter(isLeftOut),
  }
}

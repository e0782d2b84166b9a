import { describe, expect, test } from 'vitest'
import { outputMatches, programOf, readExamples, shellScriptOf, type Example } from './readme-blocks.js'

/** Fences are put together here, so that this file shows Markdown without being cut by it. */
function block(info: string, ...lines: readonly string[]): string {
  return ['```' + info, ...lines, '```', ''].join('\n')
}

function example(part: Partial<Example>): Example {
  return { language: 'js', line: 1, code: '', fragment: false, expected: null, ...part }
}

describe('reading the examples of a Markdown text', () => {
  test('finds js, ts and sh blocks with their lines, and no others', () => {
    const markdown = `# Title\n\n${block('js', 'a()')}\ntext\n${block('json', '{}')}${block('ts', 'b()')}${block('sh', 'c')}${block('', 'd')}`
    const found = readExamples(markdown)
    expect(found.map(({ language, line, code }) => [language, line, code])).toEqual([
      ['js', 3, 'a()\n'],
      ['ts', 11, 'b()\n'],
      ['sh', 14, 'c\n'],
    ])
    expect(found.every(({ expected, fragment }) => expected === null && !fragment)).toBe(true)
  })

  test('takes a text block directly behind an example as its output', () => {
    const [first] = readExamples(`${block('js', 'a()')}\n\n${block('text', 'one', '', 'two')}`)
    expect(first?.expected).toBe('one\n\ntwo\n')
  })

  test('takes no other text block for output', () => {
    const apart = `${block('js', 'a()')}It says:\n${block('text', 'one')}`
    const behindAnother = `${block('js', 'a()')}${block('json', '{}')}${block('text', 'one')}`
    const second = `${block('js', 'a()')}${block('text', 'one')}${block('text', 'two')}`
    expect(readExamples(apart)[0]?.expected).toBeNull()
    expect(readExamples(behindAnother)[0]?.expected).toBeNull()
    expect(readExamples(second)[0]?.expected).toBe('one\n')
    expect(readExamples(block('text', 'one'))).toEqual([])
  })

  test('joins a block that continues the one before, and what both print', () => {
    const markdown = `${block('ts', 'a()')}${block('text', 'one')}then\n${block('ts continue', 'b()')}${block('text', 'two')}`
    expect(readExamples(markdown)).toEqual([
      { language: 'ts', line: 1, code: 'a()\nb()\n', fragment: false, expected: 'one\ntwo\n' },
    ])
  })

  test('reads blocks in lists, with longer or other fences, and fences within them', () => {
    const indented = '- item\n\n  ```js\n  if (a) {\n    b()\n  }\n  ```\n'
    expect(readExamples(indented)[0]?.code).toBe('if (a) {\n  b()\n}\n')
    expect(readExamples('````js\n```js\nb()\n```\n````\n')[0]?.code).toBe('```js\nb()\n```\n')
    expect(readExamples('~~~js\n```\n~~~\n')[0]?.code).toBe('```\n')
    expect(readExamples('```js\r\na()\r\n```\r\n')[0]?.code).toBe('a()\n')
    expect(readExamples('text with ```js in it``` and on\n')).toEqual([])
  })

  test.each([
    ['a language by another name', block('javascript', 'a()'), /line 1: mark the block 'js'/],
    ['a shell by another name', block('bash', 'a'), /line 1: mark the block 'sh'/],
    ['an unknown word', block('js norun', 'a()'), /line 1: 'norun' means nothing/],
    ['nothing to continue', `\n${block('js continue', 'a()')}`, /line 2: there is no js block/],
    [
      'another language to continue',
      block('ts', 'a()') + block('js continue', 'a()'),
      /line 4: there is no js block/,
    ],
    ['a fragment of a shell', block('sh fragment', 'a'), /line 1: a fragment/],
    ['an open block', '```js\na()\n', /line 1: the block does not end/],
  ])('refuses %s, so that no example goes untested unseen', (_, markdown, message) => {
    expect(() => readExamples(markdown)).toThrow(message)
  })
})

describe('the output of an example', () => {
  test.each([
    ['a\nb\n', 'a\nb\n'],
    ['a\nb', 'a\nb\n\n'],
    ['a \nb\t\n', 'a\nb\n'],
    ['took 12 ms (all)\n', 'took … ms (all)\n'],
    ['a\n1\n2\nb\n', 'a\n…\nb\n'],
    ['a\nb\n', 'a\n…\nb\n'],
    ['a\nb\nc\n', 'a\n…\n'],
    ['a\n', 'a\n…\n'],
    ['[1] (x|y) $2.00 \\d\n', '[1] (x|y) $2.00 \\d\n'],
  ])('%j fits %j', (actual, expected) => {
    expect(outputMatches(actual, expected)).toBe(true)
  })

  test.each([
    ['a\nb\n', 'a\n'],
    ['a\n', 'a\nb\n'],
    ['a\nx\nb\n', 'a\nb\n'],
    ['aXb\n', 'a.b\n'],
    ['  a\n', 'a\n'],
    ['took 12\n ms\n', 'took … ms\n'],
    ['a\n1\n2\n', 'a\n…\nb\n'],
    ['', 'a\n'],
  ])('%j does not fit %j', (actual, expected) => {
    expect(outputMatches(actual, expected)).toBe(false)
  })
})

describe('the program of an example', () => {
  test('is its code', () => {
    expect(programOf(example({ code: 'a()\n' }))).toBe('a()\n')
  })

  test('of a fragment has a store and a session, and its imports at the top', () => {
    const code = `import * as v from 'valibot'\nimport { openStore } from 'agent-state'\nimport {\n  a,\n} from 'b'\nawait session.write('k', 'v')\n`
    const lines = programOf(example({ code, fragment: true })).split('\n')
    expect(lines.slice(0, 5)).toEqual([
      "import { openStore } from 'agent-state'",
      "import * as v from 'valibot'",
      'import {',
      '  a,',
      "} from 'b'",
    ])
    expect(lines.filter((line) => line.includes("'agent-state'"))).toHaveLength(1)
    expect(lines.indexOf("await session.write('k', 'v')")).toBeGreaterThan(lines.indexOf('try {'))
  })
})

describe('the script of a shell example', () => {
  test('is its lines, with or without prompts', () => {
    expect(shellScriptOf(example({ code: '$ npx agent-state ls state\ncat state/a\n' }))).toEqual({
      run: 'npx agent-state ls state\ncat state/a\n',
      leftOut: [],
    })
  })

  test('leaves out what is listed as not run, and names it', () => {
    const { run, leftOut } = shellScriptOf(
      example({
        code: 'git clone x\nnpm ci && npm start\nnpm install agent-state\nnpx agent-state verify .\n',
      }),
    )
    expect(leftOut).toEqual(['git clone x', 'npm ci && npm start', 'npm install agent-state'])
    expect(run).toBe('npx agent-state verify .\n')
  })
})

import { expect, test } from 'vitest'
import { isDeviceName, isWindowsName } from '../src/windows-names.js'

test('names that Windows keeps as they are pass', () => {
  const names = [
    'a',
    'a.json',
    '.hidden',
    'a b',
    'ä',
    'console',
    'com',
    'com10',
    'lpt',
    'nul-1',
    'auxiliary.txt',
    'a~b',
    '~1a',
  ]
  for (const name of [...names, 'longer-name~1']) expect(isWindowsName(name), name).toBe(true)
})
test('separators, streams, wildcards, control characters, dropped endings and short names do not', () => {
  const names = [
    'a\\b',
    'a:b',
    'a*',
    'a?',
    '"a"',
    '<a',
    'a>',
    'a|b',
    'a\n',
    '\u0001',
    'a.',
    'a ',
    '...',
    'GIT~1',
    'AGENT_~1',
    'ab~12.txt',
  ]
  for (const name of names) expect(isWindowsName(name), name).toBe(false)
})
test('devices do not, in any case and with any extension', () => {
  for (const name of [
    'con',
    'PRN',
    'Aux',
    'nul',
    'com1',
    'LPT9',
    'com0',
    'com²',
    'CONIN$',
    'conout$',
    'nul.txt',
    'con .a.b',
  ]) {
    expect(isDeviceName(name), name).toBe(true)
    expect(isWindowsName(name), name).toBe(false)
  }
})

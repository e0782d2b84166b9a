import { mkdirSync, readFileSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { nodeFileSystem } from '../../../src/backend/file/file-system.js'
import { createFormat, readFormat } from '../../../src/backend/file/format.js'
import { STORE_ID, temporaryDirectory } from './journal-builder.js'

function newPath(): string {
  const directory = temporaryDirectory()
  mkdirSync(join(directory, 'tmp'))
  return join(directory, 'format')
}

const read = (path: string): unknown => readFormat(nodeFileSystem, path)

describe('the format file', () => {
  test('says which format this is and which store', () => {
    const path = newPath()
    expect(read(path)).toBeNull()
    createFormat(nodeFileSystem, path, STORE_ID, 0o600)
    expect(readFileSync(path, 'utf8')).toBe(`{\n  "format": 1,\n  "store_id": "${STORE_ID}"\n}\n`)
    expect(read(path)).toEqual({ storeId: STORE_ID })
  })

  test('may have fields that are not known', () => {
    const path = newPath()
    writeFileSync(path, JSON.stringify({ note: [], store_id: STORE_ID, format: 1 }))
    expect(read(path)).toEqual({ storeId: STORE_ID })
  })

  test('of a newer version is FORMAT_TOO_NEW, whatever else it says', () => {
    const path = newPath()
    for (const rest of [{}, { store_id: 5 }, { store_id: STORE_ID }]) {
      writeFileSync(path, JSON.stringify({ format: 2, ...rest }))
      const failure = { code: 'FORMAT_TOO_NEW', found: 2, supported: 1, outcome: 'unchanged' }
      expect(() => read(path)).toThrow(expect.objectContaining(failure))
    }
  })

  test('that makes no sense is METADATA_CORRUPT, naming it', () => {
    const path = newPath()
    const refused = (): void => {
      expect(() => read(path)).toThrow(expect.objectContaining({ code: 'METADATA_CORRUPT', path }))
    }
    const id = `"store_id":"${STORE_ID}"`
    for (const text of [
      '',
      '{',
      'null',
      '[]',
      '1',
      '{}',
      `{${id}}`,
      `{"format":"1",${id}}`,
      `{"format":0,${id}}`,
      `{"format":1.5,${id}}`,
      `{"format":1e400,${id}}`,
      '{"format":1}',
      '{"format":1,"store_id":"x"}',
      `{"format":1,"store_id":"${STORE_ID.toUpperCase()}"}`,
      `{"format":1,${id}}${' '.repeat(5000)}x`.slice(5),
    ]) {
      writeFileSync(path, text)
      refused()
    }
    unlinkSync(path)
    symlinkSync('elsewhere', path)
    refused()
    unlinkSync(path)
    mkdirSync(path)
    refused()
  })

  test('that can not be read is READ_FAILED', () => {
    const path = newPath()
    createFormat(nodeFileSystem, path, STORE_ID, 0o600)
    const fs: typeof nodeFileSystem = {
      ...nodeFileSystem,
      open() {
        throw Object.assign(new Error('EACCES'), { code: 'EACCES' })
      },
    }
    expect(() => readFormat(fs, path)).toThrow(expect.objectContaining({ code: 'READ_FAILED', path }))
  })

  test('I5: is in place only when its content is durable, and then its name is made durable', () => {
    const path = newPath()
    const calls: string[] = []
    const noted = <A extends unknown[], R>(name: string, call: (...request: A) => R) => {
      return (...request: A): R => {
        calls.push(name)
        return call(...request)
      }
    }
    const fs: typeof nodeFileSystem = {
      ...nodeFileSystem,
      write: noted('write', nodeFileSystem.write),
      sync: noted('sync', nodeFileSystem.sync),
      rename: noted('rename', nodeFileSystem.rename),
    }
    writeFileSync(join(path, '..', 'tmp', 'format'), 'left by a crash')
    createFormat(fs, path, STORE_ID, 0o600)
    expect(calls).toEqual(['write', 'sync', 'rename', 'sync'])
    expect(read(path)).toEqual({ storeId: STORE_ID })
  })

  test('is not made for what is no store id', () => {
    expect(() => createFormat(nodeFileSystem, newPath(), 'x', 0o600)).toThrow(TypeError)
  })
})

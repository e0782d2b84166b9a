import { describe, expect, test } from 'vitest'
import {
  contentPath,
  firstMetadataPath,
  metadataDirectory,
  namespaceDirectory,
  parentOf,
  preservedName,
  secondMetadataDirectory,
  secondMetadataPath,
  storeLayout,
} from '../../../src/backend/file/layout.js'

describe('the layout of a root', () => {
  test('keeps all that is the store’s own in one directory', () => {
    expect(storeLayout('/r')).toEqual({
      directory: '/r/.agent_state',
      format: '/r/.agent_state/format',
      checkpoint: '/r/.agent_state/checkpoint',
      lock: '/r/.agent_state/lock',
      gitignore: '/r/.agent_state/.gitignore',
      journal: '/r/.agent_state/journal',
      tmp: '/r/.agent_state/tmp',
      preserved: '/r/.agent_state/preserved',
      conflicts: '/r/.agent_state/conflicts.jsonl',
      socket: '/r/.agent_state/socket',
      listening: '/r/.agent_state/tmp/listen',
    })
    expect(preservedName('id')).toBe('.agent_state/preserved/id')
  })

  test('puts content and metadata where the origin does', () => {
    expect(namespaceDirectory('/r', 'ns')).toBe('/r/ns')
    expect(contentPath('/r', 'ns', 'a/b.json')).toBe('/r/ns/a/b.json')
    expect(metadataDirectory('/r', 'ns')).toBe('/r/ns/.agent_state_meta')
    expect(firstMetadataPath('/r', 'ns', 'a/b.json')).toBe('/r/ns/.agent_state_meta/a/b.json.json')
  })

  test('has a second place for metadata, named after the key’s UTF-8', () => {
    expect(secondMetadataDirectory('/r', 'ns')).toBe('/r/ns/.agent_state_meta/.agent_state_meta')
    // printf 'é' | sha256sum
    expect(secondMetadataPath('/r', 'ns', 'é')).toBe(
      '/r/ns/.agent_state_meta/.agent_state_meta/' +
        '4a99557e4033c3539de2eb65472017cad5f9557f7a0625a09f1c3f6e2ba69c4c.json',
    )
  })

  test('is climbed from the inside out', () => {
    expect(parentOf('/r/ns/a')).toBe('/r/ns')
  })
})

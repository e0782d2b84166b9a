import { generateContent } from './generated-content.js'
import { GitObjects } from './git-objects.js'
import type { Content } from './trace.js'

/** Where the bytes of a history come from. */
export interface Contents {
  read(content: Content): Promise<Uint8Array>
  close(): void
}

/** `repository`: the git repository that the history was taken from; null: the contents are made up. */
export function openContents(repository: string | null): Contents {
  if (repository === null) {
    return { read: async (content) => generateContent(content), close: () => {} }
  }
  const objects = new GitObjects(repository, 'contents')
  return {
    read: async ({ kind, blob }) =>
      kind === 'submodule' ? submoduleContent(String(blob)) : (await objects.get(String(blob))).bytes,
    close: () => objects.close(),
  }
}

/** A submodule is kept as a file that holds the id of its commit, without a line end. */
function submoduleContent(commit: string): Uint8Array {
  return Buffer.from(commit, 'latin1')
}

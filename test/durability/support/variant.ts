/**
 * The library and its harness with some lines of the source exchanged: with segments so small that they are filled all the
 * time, or with a mistake that has to be found out. Each edit must fit exactly one place, so that none is left behind
 * unnoticed when the source changes.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build, type Plugin } from 'esbuild'
import type * as HarnessModule from './harness.js'

export interface Edit {
  /** Below `src`. */
  readonly file: string
  readonly from: string
  readonly to: string
}

export type Harness = typeof HarnessModule

const SOURCE = fileURLToPath(new URL('../../../src/', import.meta.url))
const HARNESS = fileURLToPath(new URL('harness.ts', import.meta.url))
/** Below `node_modules`, so that the bundle finds the packages it needs. */
const CACHE = fileURLToPath(new URL('../../../node_modules/.cache', import.meta.url))

/** Segments some hundred times smaller than they are, so that a few values fill them. */
export function smallSegments(firstBytes: number, bytes: number, reserveBytes: number): readonly Edit[] {
  const sizes = [
    ['segment.ts', 'FIRST_SEGMENT_BYTES = 4 * MIB', `FIRST_SEGMENT_BYTES = ${firstBytes}`],
    ['segment.ts', 'SEGMENT_BYTES = 16 * MIB', `SEGMENT_BYTES = ${bytes}`],
    ['journal.ts', 'RESERVE_BYTES = 64 * 1024', `RESERVE_BYTES = ${reserveBytes}`],
    ['carrier.ts', 'FRAME_BYTES_MAX = 4 * 1024 * 1024', 'FRAME_BYTES_MAX = 40_000'],
  ] as const
  return sizes.map(([file, from, to]) => ({ file: `backend/file/${file}`, from, to }))
}

export async function loadVariant(edits: readonly Edit[]): Promise<Harness> {
  mkdirSync(CACHE, { recursive: true })
  const directory = mkdtempSync(join(CACHE, 'agent-state-variant-'))
  const outfile = join(directory, 'harness.mjs')
  try {
    const sources = editedSources(edits)
    const left = new Set(sources.keys())
    await build({
      entryPoints: [HARNESS],
      bundle: true,
      packages: 'external',
      platform: 'node',
      format: 'esm',
      outfile,
      plugins: [replacing(sources, left)],
    })
    if (left.size > 0) throw new Error(`files that are not part of the harness: ${[...left].join(', ')}`)
    return (await import(/* @vite-ignore */ pathToFileURL(outfile).href)) as Harness
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** By path, the source with the edits made, one after the other. */
export function editedSources(edits: readonly Edit[]): Map<string, string> {
  const sources = new Map<string, string>()
  for (const { file, from, to } of edits) {
    const path = join(SOURCE, file)
    const parts = (sources.get(path) ?? readFileSync(path, 'utf8')).split(from)
    if (parts.length !== 2) {
      throw new Error(`fits ${parts.length - 1} places of ${file}, adapt it to the source: '${from}'`)
    }
    sources.set(path, parts.join(to))
  }
  return sources
}

function replacing(sources: ReadonlyMap<string, string>, left: Set<string>): Plugin {
  return {
    name: 'edit',
    setup(setup) {
      setup.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const contents = sources.get(path)
        if (contents === undefined) return undefined
        left.delete(path)
        return { contents, loader: 'ts' }
      })
    },
  }
}

/** Packages that only benchmarks need live in packages of their own: users of the library never install them. */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

/** Folders of `benchmarks`. */
export type Place = 'rivals' | 'plots'

const BENCHMARKS = new URL('../../', import.meta.url)

export function isInstalled(place: Place, name: string): boolean {
  return existsSync(new URL(`${place}/node_modules/${name}/package.json`, BENCHMARKS))
}

/** What the package exports, as far as the caller says that it needs it. */
export async function loadFrom<T>(place: Place, name: string): Promise<T> {
  const require = createRequire(new URL(`${place}/package.json`, BENCHMARKS))
  return (await import(pathToFileURL(require.resolve(name)).href)) as T
}

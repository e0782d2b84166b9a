/** Rivals live in a package of their own; the library does not know them, and its users never install them. */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'

const RIVALS = new URL('../../rivals/', import.meta.url)
const require = createRequire(new URL('package.json', RIVALS))

export function isInstalled(name: string): boolean {
  return existsSync(new URL(`node_modules/${name}/package.json`, RIVALS))
}

/** What the package exports, as far as the caller says that it needs it. */
export async function loadRival<T>(name: string): Promise<T> {
  return (await import(pathToFileURL(require.resolve(name)).href)) as T
}

export const rivalsFolder = fileURLToPath(RIVALS)

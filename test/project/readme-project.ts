import { chmod, mkdir, mkdtemp, realpath, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { readManifest, repository } from './repository.js'

/**
 * Makes a project outside the repository that has this package and every package of its manifest installed, by links.
 * Answers with its folder.
 */
export async function makeProject(): Promise<string> {
  const { bin, dependencies, devDependencies } = await readManifest()
  const project = await realpath(await mkdtemp(join(tmpdir(), 'agent-state-readme-')))
  const modules = join(project, 'node_modules')
  for (const name of Object.keys({ ...dependencies, ...devDependencies })) {
    await mkdir(dirname(join(modules, name)), { recursive: true })
    await symlink(join(repository, 'node_modules', name), join(modules, name))
  }
  await symlink(repository, join(modules, 'agent-state'))
  await mkdir(join(modules, '.bin'))
  for (const [name, path] of Object.entries(bin)) {
    const command = join(modules, '.bin', name)
    await writeFile(command, `#!/bin/sh\nexec "${process.execPath}" "${join(repository, path)}" "$@"\n`)
    await chmod(command, 0o755)
  }
  await writeFile(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['**/*.ts'] }))
  return project
}

/** What a careful user's project has. */
const compilerOptions = {
  target: 'es2023',
  lib: ['es2023', 'esnext.disposable'],
  types: ['node'],
  module: 'nodenext',
  strict: true,
  noEmit: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
}

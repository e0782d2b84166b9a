import { readFile } from 'node:fs/promises'
import { isBuiltin } from 'node:module'
import { build } from 'esbuild'

/** One module of `src` that names another module. Paths are relative to the repository (`src/store.ts`). */
export interface Import {
  readonly from: string
  /** A path, or a bare specifier such as `uuid` or `node:fs`. */
  readonly to: string
  /** Gone after compiling. */
  readonly typeOnly: boolean
}

interface Rule {
  readonly text: string
  readonly breaks: (entry: Import) => boolean
}

const fileSystemModules = new Set(['fs', 'fs/promises', 'node:fs', 'node:fs/promises'])

const CALLERS_SIDE = [
  ...['session', 'store-handle', 'store-host', 'operations', 'requests', 'seen-keys'].map(
    (name) => `src/${name}.ts`,
  ),
  'src/remote/remote-coordinator.ts',
]

const rules: readonly Rule[] = [
  {
    text: 'only src/backend/file/file-system.ts, src/archive, src/bench, src/cli and src/replay use the file system',
    breaks: ({ from, to }) =>
      fileSystemModules.has(to) &&
      from !== 'src/backend/file/file-system.ts' &&
      !isIn(from, ['src/archive/', 'src/bench/', 'src/cli/', 'src/replay/']),
  },
  onlyIn('piscina', ['src/backend/file/']),
  onlyIn('comlink', ['src/remote/']),
  onlyIn('eventemitter3', ['src/event-bus.ts']),
  ...['cli-progress', 'cli-table3', 'commander', 'string-width'].map((name) => onlyIn(name, ['src/cli/'])),
  ...['src/bench/', 'src/cli/', 'src/replay/'].map((folder) => ({
    text: `${folder} uses the public index only`,
    breaks: ({ from, to }: Import) =>
      from.startsWith(folder) &&
      to.startsWith('src/') &&
      !isIn(to, [...reachableFrom(folder), 'src/index.ts']),
  })),
  {
    text: 'the coordinator knows the backend contract, no backend',
    breaks: ({ from, to }) =>
      from.startsWith('src/coordinator/') && to.startsWith('src/backend/') && to !== 'src/backend/backend.ts',
  },
  {
    text: 'what callers hold knows no coordinator: it may be in another thread',
    breaks: ({ from, to }) =>
      (isIn(from, CALLERS_SIDE) || from.startsWith('src/remote/client-')) &&
      to.startsWith('src/coordinator/'),
  },
  {
    text: 'the file backend does not know what is above it',
    breaks: ({ from, to }) =>
      from.startsWith('src/backend/file/') &&
      isIn(to, ['src/coordinator/', 'src/session.ts', 'src/store.ts']),
  },
]

/** The command line starts the others; otherwise these folders know nothing of each other. */
function reachableFrom(folder: string): readonly string[] {
  return folder === 'src/cli/'
    ? ['src/cli/', 'src/archive/', 'src/bench/', 'src/inspect/', 'src/replay/']
    : [folder]
}

function onlyIn(packageName: string, places: readonly string[]): Rule {
  return {
    text: `${packageName} is used only in ${places.join(', ')}`,
    breaks: ({ from, to }) => (to === packageName || to.startsWith(`${packageName}/`)) && !isIn(from, places),
  }
}

function isIn(path: string, places: readonly string[]): boolean {
  return places.some((place) => (place.endsWith('/') ? path.startsWith(place) : path === place))
}

/** One sentence for each import that breaks a rule, naming the file and what it imports. */
export function brokenRules(imports: readonly Import[]): string[] {
  return rules.flatMap((rule) =>
    imports.filter(rule.breaks).map(({ from, to }) => `${from} imports ${to}: ${rule.text}`),
  )
}

/** Imports of packages that installing this package would not bring along. */
export function undeclaredPackages(imports: readonly Import[], declared: ReadonlySet<string>): string[] {
  return imports
    .filter(({ to }) => !to.startsWith('src/') && !to.startsWith('#') && !isBuiltin(to))
    .filter(({ to }) => !declared.has(packageOf(to)))
    .map(({ from, to }) => `${from} imports ${to}: not among the package's dependencies`)
}

function packageOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
}

/** Every ring of modules that need each other's values to load, as `a -> b -> a`. */
export function importCycles(imports: readonly Import[]): string[] {
  const targets = new Map<string, string[]>()
  for (const { from, to, typeOnly } of imports) {
    if (!typeOnly) targets.set(from, [...(targets.get(from) ?? []), to])
  }
  const cycles: string[] = []
  const finished = new Set<string>()
  const visit = (module: string, path: readonly string[]): void => {
    const start = path.indexOf(module)
    if (start >= 0) {
      cycles.push([...path.slice(start), module].join(' -> '))
      return
    }
    if (finished.has(module)) return
    for (const target of targets.get(module) ?? []) visit(target, [...path, module])
    finished.add(module)
  }
  for (const module of targets.keys()) visit(module, [])
  return cycles
}

/** Reads the imports of all given TypeScript modules, those of types included. */
export async function readImports(directory: string, modules: readonly string[]): Promise<Import[]> {
  const values = await importsOf(directory, modules, (source) => source)
  const all = await importsOf(directory, modules, typeImportsAsValues)
  const valueKeys = new Set(values.map(keyOf))
  const types = all
    .filter((entry) => !valueKeys.has(keyOf(entry)))
    .map((entry) => ({ ...entry, typeOnly: true }))
  return [...values, ...types]
}

function keyOf({ from, to }: Import): string {
  return `${from} ${to}`
}

/** The compiler drops imports of types; as imports of values they stay visible. Statements start their line here. */
function typeImportsAsValues(source: string): string {
  return source.replace(/^import type (?=[\w{*])/gm, 'import ').replace(/^export type (?=[{*])/gm, 'export ')
}

async function importsOf(
  directory: string,
  modules: readonly string[],
  change: (source: string) => string,
): Promise<Import[]> {
  const { metafile } = await build({
    absWorkingDir: directory,
    entryPoints: [...modules],
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    write: false,
    outdir: 'not-written',
    metafile: true,
    logLevel: 'silent',
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
    plugins: [
      {
        name: 'change-source',
        setup: (pluginBuild) => {
          pluginBuild.onLoad({ filter: /\.ts$/ }, async ({ path }) => ({
            loader: 'ts',
            contents: change(await readFile(path, 'utf8')),
          }))
        },
      },
    ],
  })
  const entries = Object.entries(metafile.inputs).flatMap(([from, input]) =>
    input.imports.map(({ path }) => ({ from, to: path, typeOnly: false })),
  )
  return [...new Map(entries.map((entry) => [keyOf(entry), entry])).values()]
}

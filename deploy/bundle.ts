import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { build, type Metafile } from 'esbuild'
import { licencesOf } from './licences.ts'
import { bundlesOf, packagesOf } from './packages.ts'
import { sbomOf } from './sbom.ts'

const ROOT = join(import.meta.dirname, '..')
/** Names and source maps hold paths from here to the sources, so all bundles are made for this folder. */
const DIST = join(ROOT, 'dist')

const PROGRAMS = {
  worker: 'worker/main.ts',
  cli: 'cli/main.ts',
  local: 'local/main.ts',
  client: 'shared/client/index.ts',
  reader: 'shared/sources/reader/main.ts',
}

/** Google's packages are CommonJS: they require Node's modules at run time, and use __filename and __dirname. */
const COMMONJS = `import { createRequire } from 'node:module'
const require = createRequire(import.meta.url)
const __filename = import.meta.filename
const __dirname = import.meta.dirname`

const OPTIONS = {
  absWorkingDir: ROOT,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  banner: { js: COMMONJS },
  // Names are not minified, so that stack traces are readable.
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
  outdir: DIST,
  write: false,
} as const

/** An error of the client shows a line of it, which has to be short. With its maps, Node names our source files. */
const WITH_MAPS = { minifyWhitespace: false, sourcemap: true, sourcesContent: false } as const

interface Bundled {
  /** What the bundler reports. */
  readonly metafile: Metafile
  /** How many packages each list names. */
  readonly components: Readonly<Record<string, number>>
}

/**
 * Bundles each program with its packages into one file that needs only Node, and writes the licences and the lists (SBOM)
 * of these packages. The command, its reader of documents and the client have further files, which they load when they need them.
 *
 * The bytes depend only on the sources and the lock file, not on the time or the folders.
 */
export async function bundleInto(folder: string): Promise<Bundled> {
  const { cli, reader, client, ...whole } = PROGRAMS
  const built = await Promise.all([
    build({ ...OPTIONS, entryPoints: whole }),
    build({ ...OPTIONS, ...WITH_MAPS, entryPoints: { client }, splitting: true, chunkNames: 'client/[hash]' }),
    build({ ...OPTIONS, entryPoints: { cli, reader }, splitting: true, chunkNames: 'cli/[hash]' }),
  ])
  const inputs = Object.assign({}, ...built.map((each) => each.metafile.inputs))
  const outputs = Object.assign({}, ...built.map((each) => each.metafile.outputs))
  const metafile = withoutUnused({ inputs, outputs })
  for (const { path, contents } of built.flatMap((each) => each.outputFiles)) {
    if (relative(ROOT, path) in metafile.outputs) writeInto(placeOf(path), contents)
  }
  const command = join(folder, 'cli.mjs')
  writeFileSync(command, `#!/usr/bin/env node\n${readFileSync(command, 'utf8')}`, { mode: 0o755 })
  writeFileSync(join(folder, 'LICENSES.txt'), licencesOf(ROOT, packagesOf(ROOT, Object.keys(metafile.inputs))))
  const components = {
    // The image contains only the worker.
    'worker.cdx.json': writeSbom('worker.cdx.json', ['worker']),
    'sbom.cdx.json': writeSbom('sbom.cdx.json', ['worker', 'cli', 'reader', 'local', 'client']),
  }
  return { metafile, components }

  function placeOf(path: string): string {
    return join(folder, relative(DIST, path))
  }

  function writeSbom(name: string, programs: readonly (keyof typeof PROGRAMS)[]): number {
    const entries = programs.map((program) => PROGRAMS[program])
    const files = bundlesOf(metafile, entries).map((path) => placeOf(join(ROOT, path)))
    const sbom = sbomOf({ root: ROOT, metafile, entries, files })
    writeFileSync(join(folder, name), `${JSON.stringify(sbom, undefined, 2)}\n`)
    return sbom.components.length
  }
}

function writeInto(path: string, contents: Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, contents)
}

/** Leaves out what the bundler splits off for an import that it then drops. */
function withoutUnused({ inputs, outputs }: Metafile): Metafile {
  const used = bundlesOf({ inputs, outputs }, Object.values(PROGRAMS))
  const isUsed = (path: string) => used.includes(path.replace(/\.map$/, ''))
  return { inputs, outputs: Object.fromEntries(Object.entries(outputs).filter(([path]) => isUsed(path))) }
}

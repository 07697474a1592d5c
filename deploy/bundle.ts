import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build, type Metafile } from 'esbuild'
import { licencesOf } from './licences.ts'
import { packagesOf } from './packages.ts'
import { sbomOf } from './sbom.ts'

const ROOT = join(import.meta.dirname, '..')

const PROGRAMS = {
  worker: 'worker/main.ts',
  cli: 'cli/main.ts',
  local: 'local/main.ts',
  client: 'shared/client/index.ts',
}

/** Google's packages are CommonJS: they require Node's modules at run time, and use __filename and __dirname. */
const COMMONJS = `import { createRequire } from 'node:module'
const require = createRequire(import.meta.url)
const __filename = import.meta.filename
const __dirname = import.meta.dirname`

interface Bundled {
  /** What the bundler reports. */
  readonly metafile: Metafile
  /** How many packages each list names. */
  readonly components: Readonly<Record<string, number>>
}

/**
 * Bundles each program with its packages into one file that needs only Node, and writes the licences and the lists (SBOM)
 * of these packages.
 *
 * The bytes depend only on the sources and the lock file, not on the time or the folders.
 */
export async function bundleInto(folder: string): Promise<Bundled> {
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: PROGRAMS,
    outdir: folder,
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
  })
  const cli = join(folder, 'cli.mjs')
  writeFileSync(cli, `#!/usr/bin/env node\n${readFileSync(cli, 'utf8')}`, { mode: 0o755 })
  writeFileSync(join(folder, 'LICENSES.txt'), licencesOf(ROOT, packagesOf(ROOT, Object.keys(metafile.inputs))))
  const components = {
    // The image contains only the worker.
    'worker.cdx.json': writeSbom('worker.cdx.json', ['worker']),
    'sbom.cdx.json': writeSbom('sbom.cdx.json', ['worker', 'cli', 'local', 'client']),
  }
  return { metafile, components }

  function writeSbom(name: string, programs: readonly (keyof typeof PROGRAMS)[]): number {
    const entries = programs.map((program) => PROGRAMS[program])
    const files = programs.map((program) => join(folder, `${program}.mjs`))
    const sbom = sbomOf({ root: ROOT, metafile, entries, files })
    writeFileSync(join(folder, name), `${JSON.stringify(sbom, undefined, 2)}\n`)
    return sbom.components.length
  }
}

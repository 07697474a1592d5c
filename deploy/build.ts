import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { licencesOf } from './licences.ts'

const ROOT = join(import.meta.dirname, '..')
const DIST = join(ROOT, 'dist')

const PROGRAMS = { worker: 'worker/main.ts', cli: 'cli/main.ts', local: 'local/main.ts', client: 'shared/client.ts' }

/** Google's packages are CommonJS: they ask for Node's own modules at run time, and for where they lie. */
const COMMONJS = `import { createRequire } from 'node:module'
const require = createRequire(import.meta.url)
const __filename = import.meta.filename
const __dirname = import.meta.dirname`

/** Bundles each program with all its packages into one file of dist/, which needs nothing but Node beside it. */
async function bundle(): Promise<void> {
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: PROGRAMS,
    outdir: DIST,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    banner: { js: COMMONJS },
    // Names stay as they are: a stack trace from the cloud is to be read.
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
  })
  writeFileSync(join(DIST, 'LICENSES.txt'), licencesOf(ROOT, metafile))
  const cli = join(DIST, 'cli.mjs')
  writeFileSync(cli, `#!/usr/bin/env node\n${readFileSync(cli, 'utf8')}`, { mode: 0o755 })
}

/** Writes the client's types. Throws where they need a file or a package that is not in dist/. */
function declareClient(): void {
  const folder = mkdtempSync(join(tmpdir(), 'promptbridge-types-'))
  try {
    const flags = ['--noEmit', 'false', '--declaration', '--emitDeclarationOnly', '--rootDir', ROOT, '--outDir', folder]
    const { status, stdout } = spawnSync(join(ROOT, 'node_modules/.bin/tsc'), ['--project', ROOT, ...flags], {
      encoding: 'utf8',
    })
    if (status !== 0) throw new Error(`the types do not hold:\n${stdout}`)
    const types = join(folder, 'shared/client.d.ts')
    if (/\bfrom ['"]|\bimport\b/.test(readFileSync(types, 'utf8')))
      throw new Error('the types of the client import something')
    copyFileSync(types, join(DIST, 'client.d.ts'))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

rmSync(DIST, { recursive: true, force: true })
await bundle()
declareClient()

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundleInto } from './bundle.ts'

const ROOT = join(import.meta.dirname, '..')
const DIST = join(ROOT, 'dist')
const CLIENT = 'shared/client'

/** Writes the client's types. Throws if they need a file or a package that is not in dist/. */
function declareClient(): void {
  const folder = mkdtempSync(join(tmpdir(), 'promptbridge-types-'))
  try {
    const flags = ['--noEmit', 'false', '--declaration', '--emitDeclarationOnly', '--rootDir', ROOT, '--outDir', folder]
    const { status, stdout } = spawnSync(join(ROOT, 'node_modules/.bin/tsc'), ['--project', ROOT, ...flags], {
      encoding: 'utf8',
    })
    if (status !== 0) throw new Error(`the type check failed:\n${stdout}`)
    const parts = ['types', 'event-types', 'index'].map((name) =>
      readFileSync(join(folder, CLIENT, `${name}.d.ts`), 'utf8'),
    )
    // They are one file. What they import of each other stands in it.
    const types = parts.join('').replaceAll(/^(import|export) type [^;]*? from '\.\/(event-)?types\.ts';\n/gm, '')
    if (/^import\b|\bimport\(|\bfrom ['"]/m.test(types)) throw new Error('the types of the client contain an import')
    writeFileSync(join(DIST, 'client.d.ts'), types)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

rmSync(DIST, { recursive: true, force: true })
const { components } = await bundleInto(DIST)
for (const [file, count] of Object.entries(components)) process.stdout.write(`dist/${file} lists ${count} packages\n`)
declareClient()

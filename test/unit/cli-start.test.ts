import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { build } from 'esbuild'

test('the help loads commander and no other package, so that it is printed fast', async () => {
  const { metafile } = await build({
    absWorkingDir: join(import.meta.dirname, '../..'),
    entryPoints: ['cli/command-line.ts'],
    bundle: true,
    splitting: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    outdir: 'unused',
    write: false,
    metafile: true,
  })
  const loaded = new Set(['unused/command-line.js'])
  const packages = new Set<string>()
  for (const path of loaded) {
    for (const { path: to, kind, external } of metafile.outputs[path]?.imports ?? []) {
      if (kind === 'dynamic-import') continue
      if (external) packages.add(to)
      else loaded.add(to)
    }
  }
  assert.deepEqual([...packages], ['commander'])
})

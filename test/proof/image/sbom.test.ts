import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Metafile } from 'esbuild'
import { sbomOf } from '../../../deploy/sbom.ts'
import { aTemporaryFile } from '../../support/temporary-file.ts'

const INTEGRITY = `sha512-${Buffer.alloc(64, 7).toString('base64')}`
const ZOD = 'node_modules/zod'
const SCOPED = 'node_modules/@scope/tool'
const NESTED = `${SCOPED}/node_modules/zod`
const ENTRY = 'worker/main.ts'

interface Installed {
  readonly name: string
  readonly version: string
  readonly integrity?: string
}

const INSTALLED: Readonly<Record<string, Installed>> = {
  [ZOD]: { name: 'zod', version: '4.0.0', integrity: INTEGRITY },
  [SCOPED]: { name: '@scope/tool', version: '1.2.3', integrity: INTEGRITY },
  [NESTED]: { name: 'zod', version: '4.0.0', integrity: INTEGRITY },
}

/** A project with these packages, and its bundle on the disk. */
async function aProject(t: TestContext, installed = INSTALLED) {
  const bundle = await aTemporaryFile(t, 'worker.mjs')
  const root = dirname(bundle)
  await writeFile(bundle, 'bundle')
  const write = (file: string, value: unknown) => writeFile(join(root, file), JSON.stringify(value))
  await write('package.json', { name: 'promptbridge', version: '0.1.0', license: 'Apache-2.0' })
  await write('package-lock.json', { packages: installed })
  for (const [folder, { name, version }] of Object.entries(installed)) {
    await mkdir(join(root, folder), { recursive: true })
    await write(join(folder, 'package.json'), { name, version, license: 'MIT' })
  }
  const options = { root, entries: [ENTRY], files: [bundle] }
  return (metafile: Metafile) => sbomOf({ ...options, metafile })
}

/** What esbuild reports of one bundle. `files`: the bytes that each leaves in it. `imports`: the files that each imports. */
function aMetafile(files: Readonly<Record<string, number>>, imports: Readonly<Record<string, readonly string[]>> = {}) {
  const paths = Object.entries(files)
  const toImports = (path: string) =>
    (imports[path] ?? []).map((to) => ({ path: to, kind: 'import-statement' as const }))
  const inputs = paths.map(([path, bytes]) => [path, { bytes, imports: toImports(path) }] as const)
  const output = { bytes: 1, imports: [], exports: [], entryPoint: ENTRY }
  const left = paths.map(([path, bytesInOutput]) => [path, { bytesInOutput }] as const)
  return {
    inputs: Object.fromEntries(inputs),
    outputs: { 'worker.mjs': { ...output, inputs: Object.fromEntries(left) } },
  }
}

test('sbom: a package has its version, purl, licence and the SHA-512 of the lock file in hexadecimal', async (t) => {
  const list = await aProject(t)
  const { components } = list(aMetafile({ [ENTRY]: 1, [`${SCOPED}/index.js`]: 1 }))
  const purl = 'pkg:npm/%40scope/tool@1.2.3'
  assert.deepEqual(components, [
    {
      type: 'library',
      'bom-ref': purl,
      name: '@scope/tool',
      version: '1.2.3',
      purl,
      hashes: [{ alg: 'SHA-512', content: '07'.repeat(64) }],
      licenses: [{ expression: 'MIT' }],
    },
  ])
})

test('sbom: a file that left no byte in the bundle brings no package', async (t) => {
  const list = await aProject(t)
  const { components } = list(aMetafile({ [ENTRY]: 1, [`${ZOD}/index.js`]: 1, [`${SCOPED}/unused.js`]: 0 }))
  assert.deepEqual(
    components.map(({ name }) => name),
    ['zod'],
  )
})

test('sbom: one version in two folders is listed once, and every reference leads to a component', async (t) => {
  const list = await aProject(t)
  const files = { [ENTRY]: 1, [`${ZOD}/index.js`]: 1, [`${NESTED}/index.js`]: 1, [`${SCOPED}/index.js`]: 1 }
  const imports = {
    [ENTRY]: [`${SCOPED}/index.js`, `${ZOD}/index.js`],
    [`${SCOPED}/index.js`]: [`${NESTED}/index.js`, 'node:fs'],
  }
  const { components, dependencies } = list(aMetafile(files, imports))
  assert.equal(components.length, 2)
  const zod = 'pkg:npm/zod@4.0.0'
  const tool = 'pkg:npm/%40scope/tool@1.2.3'
  assert.deepEqual(dependencies, [
    { ref: tool, dependsOn: [zod] },
    { ref: 'pkg:npm/promptbridge@0.1.0', dependsOn: [tool, zod] },
    { ref: zod, dependsOn: [] },
  ])
})

test('sbom: the same bundle in another folder gives the same list', async (t) => {
  const metafile = aMetafile({ [ENTRY]: 1, [`${ZOD}/index.js`]: 1 })
  const [first, second] = [await aProject(t), await aProject(t)]
  assert.equal(JSON.stringify(first(metafile)), JSON.stringify(second(metafile)))
})

test('sbom: a package that the lock file does not hold is refused', async (t) => {
  const list = await aProject(t, { [ZOD]: { name: 'zod', version: '4.0.0' } })
  assert.throws(() => list(aMetafile({ [`${ZOD}/index.js`]: 1 })), {
    message: 'package-lock.json has no SHA-512 of node_modules/zod',
  })
})

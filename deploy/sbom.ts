import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { version as esbuildVersion, type Metafile } from 'esbuild'
import { z } from 'zod'
import { type BundledPackage, bundledPaths, packageFolder, packagesOf } from './packages.ts'

const own = z.object({ name: z.string(), version: z.string(), license: z.string() })
const lock = z.object({ packages: z.record(z.string(), z.object({ integrity: z.string().optional() })) })

interface SbomOptions {
  /** The folder that paths in the metafile start from, with package.json and package-lock.json. */
  readonly root: string
  readonly metafile: Metafile
  /** The bundles to list, by their entry points. */
  readonly entries: readonly string[]
  /** The files of the bundles. Their hashes link the list to them. */
  readonly files: readonly string[]
}

/**
 * Lists the packages whose code is in bundles, as a CycloneDX 1.6 document.
 *
 * It has no time and no serial number, so the same sources give the same document. Throws for a package that is not in the
 * lock file.
 */
export function sbomOf({ root, metafile, entries, files }: SbomOptions) {
  const read = (file: string): unknown => JSON.parse(readFileSync(join(root, file), 'utf8'))
  const { name, version, license } = own.parse(read('package.json'))
  const locked = lock.parse(read('package-lock.json')).packages
  const paths = bundledPaths(metafile, entries)
  const packages = packagesOf(root, paths)
  const components = packages.map((bundled) => componentOf(bundled, locked[bundled.folder]?.integrity))
  const application = {
    type: 'application',
    ...identityOf({ name, version }),
    licenses: [{ expression: license }],
    components: files.map((file) => ({ type: 'file', name: basename(file), hashes: [sha256Of(file)] })),
  }
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      lifecycles: [{ phase: 'build' }],
      tools: { components: [{ type: 'application', name: 'esbuild', version: esbuildVersion }] },
      component: application,
    },
    components: [...new Map(components.map((component) => [component.purl, component])).values()],
    dependencies: dependenciesOf(metafile, paths, (folder) => {
      const found = packages.find((bundled) => bundled.folder === folder)
      return purlOf(found ?? { name, version })
    }),
  }
}

/** One version may be installed in several folders: its code is listed once. */
function componentOf({ license, folder, ...named }: BundledPackage, integrity: string | undefined) {
  const [, digest] = /^sha512-(\S+)/.exec(integrity ?? '') ?? []
  if (digest === undefined) throw new Error(`package-lock.json has no SHA-512 of ${folder}`)
  return {
    type: 'library',
    ...identityOf(named),
    // The hash of the package in the registry.
    hashes: [{ alg: 'SHA-512', content: Buffer.from(digest, 'base64').toString('hex') }],
    ...(license !== undefined && { licenses: [{ expression: license }] }),
  }
}

type Named = Pick<BundledPackage, 'name' | 'version'>

function identityOf(named: Named) {
  const purl = purlOf(named)
  return { 'bom-ref': purl, name: named.name, version: named.version, purl }
}

function purlOf({ name, version }: Named): string {
  return `pkg:npm/${name.replace('@', '%40')}@${version}`
}

/** Which package imports which. `refOf`: the reference of a package by its folder; our own for undefined. */
function dependenciesOf(
  { inputs }: Metafile,
  paths: ReadonlySet<string>,
  refOf: (folder: string | undefined) => string,
) {
  const imported = new Map<string, Set<string>>()
  for (const path of paths) {
    const ref = refOf(packageFolder(path))
    const refs = imported.get(ref) ?? new Set()
    imported.set(ref, refs)
    for (const { path: to } of inputs[path]?.imports ?? []) {
      if (paths.has(to) && refOf(packageFolder(to)) !== ref) refs.add(refOf(packageFolder(to)))
    }
  }
  return [...imported]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([ref, refs]) => ({ ref, dependsOn: [...refs].toSorted() }))
}

function sha256Of(file: string) {
  return { alg: 'SHA-256', content: createHash('sha256').update(readFileSync(file)).digest('hex') }
}

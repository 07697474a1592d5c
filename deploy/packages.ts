import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Metafile } from 'esbuild'
import { z } from 'zod'

/** A package whose code is in a bundle. */
export interface BundledPackage {
  /** Where it is installed, from the root: node_modules/zod. */
  readonly folder: string
  readonly name: string
  readonly version: string
  /** What its manifest declares. */
  readonly license: string | undefined
}

const manifest = z.object({ name: z.string(), version: z.string(), license: z.string().optional() })

/** Finds the packages that files belong to, by their folders. `root`: the folder that the paths start from. */
export function packagesOf(root: string, paths: Iterable<string>): BundledPackage[] {
  const folders = new Set([...paths].flatMap((path) => packageFolder(path) ?? []))
  return [...folders].toSorted().map((folder) => {
    const { name, version, license } = manifest.parse(
      JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')),
    )
    return { folder, name, version, license }
  })
}

/** The folder of the package that a file is in; undefined for a file of our own. */
export function packageFolder(path: string): string | undefined {
  return /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]
}

/** The files that left code in bundles, which are named by their entry points. */
export function bundledPaths({ outputs }: Metafile, entries: readonly string[]): Set<string> {
  const bundles = Object.values(outputs).filter(
    ({ entryPoint }) => entryPoint !== undefined && entries.includes(entryPoint),
  )
  return new Set(
    bundles.flatMap(({ inputs }) =>
      Object.entries(inputs).flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 ? path : [])),
    ),
  )
}

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
export function bundledPaths(metafile: Metafile, entries: readonly string[]): Set<string> {
  const inputs = bundlesOf(metafile, entries).flatMap((path) => Object.entries(metafile.outputs[path]?.inputs ?? {}))
  return new Set(inputs.flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 ? path : [])))
}

/** The bundles of entry points, with those that they load later. */
export function bundlesOf({ outputs }: Metafile, entries: readonly string[]): readonly string[] {
  const isEntry = (path: string) => entries.includes(outputs[path]?.entryPoint ?? '')
  const found = new Set(Object.keys(outputs).filter(isEntry))
  // A set that grows is iterated to its end.
  for (const path of found) for (const { path: to } of outputs[path]?.imports ?? []) if (to in outputs) found.add(to)
  return [...found].toSorted()
}

import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Metafile } from 'esbuild'
import { z } from 'zod'

const manifest = z.object({ name: z.string(), version: z.string(), license: z.string().default('see below') })

/**
 * Puts together the licences of the packages that went into bundles: theirs ask to stand wherever their code does.
 *
 * `root`: the folder that the paths in the metafile start from.
 */
export function licencesOf(root: string, { inputs }: Metafile): string {
  const folders = new Set(
    Object.keys(inputs).flatMap((path) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []),
  )
  return [...folders]
    .toSorted()
    .map((folder) => licenceOf(join(root, folder)))
    .join(`\n${'-'.repeat(80)}\n\n`)
}

function licenceOf(folder: string): string {
  const { name, version, license } = manifest.parse(JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')))
  const texts = globSync('{LICEN[CS]E,licen[cs]e,NOTICE,ThirdPartyNotices}*', { cwd: folder })
  return [
    `${name} ${version}: ${license}\n`,
    ...texts.toSorted().map((file) => readFileSync(join(folder, file), 'utf8')),
  ].join('\n')
}

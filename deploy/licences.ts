import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BundledPackage } from './packages.ts'

/** Joins the licences of the bundled packages, which must accompany their code. `root`: the folder that paths start from. */
export function licencesOf(root: string, packages: readonly BundledPackage[]): string {
  return packages.map((bundled) => licenceOf(root, bundled)).join(`\n${'-'.repeat(80)}\n\n`)
}

function licenceOf(root: string, { folder, name, version, license = 'see below' }: BundledPackage): string {
  const cwd = join(root, folder)
  const texts = globSync('{LICEN[CS]E,licen[cs]e,NOTICE,ThirdPartyNotices}*', { cwd })
  return [
    `${name} ${version}: ${license}\n`,
    ...texts.toSorted().map((file) => readFileSync(join(cwd, file), 'utf8')),
  ].join('\n')
}

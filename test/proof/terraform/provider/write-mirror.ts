import { mkdir, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { KnownProvider } from './schema.ts'

/** Node's names of processors that Terraform calls otherwise. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64' }

/**
 * Lets `terraform init` find each provider in the one version whose schema is known, so that it checks the sources and
 * version constraints of a configuration. What lies there is empty, and never run. Returns Terraform's own settings.
 */
export async function writeMirror(folder: string, providers: readonly KnownProvider[]): Promise<string> {
  const platform = `${process.platform}_${ARCHITECTURES[process.arch] ?? process.arch}`
  for (const { address, version } of providers) {
    const place = join(folder, address, version, platform)
    await mkdir(place, { recursive: true })
    await writeFile(join(place, `terraform-provider-${basename(address)}_v${version}`), '', { mode: 0o755 })
  }
  return `provider_installation {\n  filesystem_mirror {\n    path = ${JSON.stringify(folder)}\n  }\n}\n`
}

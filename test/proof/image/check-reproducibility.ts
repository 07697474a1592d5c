import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { bundleInto } from '../../../deploy/bundle.ts'
import type { Image } from './perform-stages.ts'

/**
 * Throws unless the image's build ran no install script, and made the bytes that this repository's own installation
 * makes in another folder.
 */
export async function checkReproducibility(build: Image | undefined, image: Image, folder: string): Promise<string> {
  if (build === undefined) throw new Error('no stage is named build')
  const app = join(build.root, build.workdir)
  // The script of this package downloads Node, past the lock file.
  if (existsSync(join(app, 'node_modules/node/bin'))) throw new Error('an install script ran in the build')
  await bundleInto(folder)
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const file = relative(folder, join(entry.parentPath, entry.name))
    if (sha256Of(join(app, 'dist', file)) !== sha256Of(join(folder, file)))
      throw new Error(`${file} differs between two builds of one source`)
  }
  const { 'promptbridge.sbom': sbom = 'no label' } = image.labels
  if (sha256Of(join(image.root, sbom)) !== sha256Of(join(folder, 'worker.cdx.json')))
    throw new Error(`${sbom} is not the list of what is in the worker`)
  return 'built twice, without and with install scripts: the same bytes'
}

function sha256Of(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex')
}

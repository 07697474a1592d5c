import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { symlink } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { build } from 'esbuild'
import { bundleInto } from '../../../../deploy/bundle.ts'

const ROOT = join(import.meta.dirname, '../../../..')

/** Writes the worker as it is deployed, and returns its file. */
export async function buildWorker(folder: string): Promise<string> {
  const dist = join(folder, 'dist')
  await bundleInto(dist)
  return join(dist, 'worker.mjs')
}

/** Writes a module as JavaScript, so that its process need not strip types, and returns its file. Its packages stay as they are. */
export async function buildBaseline(module: string, folder: string): Promise<string> {
  const file = join(folder, `${basename(module, '.ts')}.mjs`)
  const options = { bundle: true, packages: 'external', platform: 'node', format: 'esm' } as const
  await build({ ...options, entryPoints: [module], outfile: file })
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules')).catch(() => undefined)
  return file
}

/** Fills a compile cache for a worker, as the image does. */
export async function warmCompileCache(worker: string, cache: string): Promise<void> {
  const args = [join(ROOT, 'deploy/warm-compile-cache.mts'), worker, cache]
  const [code] = await once(spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] }), 'close')
  if (code !== 0) throw new Error(`the compile cache was not made: ${code}`)
}

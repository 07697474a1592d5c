import { chmodSync, chownSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkCompiledCode, measureBoot } from './check-boot.ts'
import { checkOnGoogle } from './check-google.ts'
import { checkReproducibility } from './check-reproducibility.ts'
import { checkOnStandIns } from './check-stand-ins.ts'
import { checkWriteProtection } from './check-write-protection.ts'
import { parseDockerfile } from './dockerfile.ts'
import { copyContext, performStages } from './perform-stages.ts'
import { IDLE } from './run-worker.ts'

const ROOT = join(import.meta.dirname, '../../..')

/**
 * Builds the image by hand, step by step as the Dockerfile says, and proves it at work: as its user, with nothing but
 * its own files, on a file system that cannot be written.
 *
 * For machines without a container engine. Needs Linux, root for the mounts and the user, and Google's emulators.
 */
async function check(): Promise<void> {
  using cleanups = new DisposableStack()
  const folder = cleanups.adopt(mkdtempSync(join(tmpdir(), 'image-')), (made) => rmSync(made, { recursive: true }))
  chmodSync(folder, 0o755)
  const context = join(folder, 'context')
  mkdirSync(context)
  copyContext(ROOT, context)
  const stages = parseDockerfile(readFileSync(join(ROOT, 'Dockerfile'), 'utf8'))
  const { image, stages: built } = await performStages(stages, { folder, context, print })
  print(`the app: ${sizes(join(image.root, image.workdir))}`)
  print(await checkReproducibility(built.get('build'), image, mkdtempSync(join(folder, 'again-'))))
  // Where an engine would mount a volume.
  mkdirSync(join(image.root, 'state'))

  await checkWriteProtection(image)
  print(`as user ${image.uid}: writes nowhere`)
  const newState = () => {
    const state = mkdtempSync(join(folder, 'state-'))
    chownSync(state, image.uid, image.gid)
    return state
  }
  print(await checkOnStandIns(image, newState()))
  await checkCompiledCode(image, newState())
  print(`on SQLite: ${await measureBoot(image, newState(), IDLE)}`)
  print(await checkOnGoogle(image, newState()))
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

function sizes(app: string): string {
  const files = globSync('**', { cwd: app }).filter((path) => statSync(join(app, path)).isFile())
  const megabytes = (paths: readonly string[]) =>
    `${(paths.reduce((sum, path) => sum + statSync(join(app, path)).size, 0) / 1e6).toFixed(1)} MB`
  return `${megabytes(files)} (${files.map((path) => `${path} ${megabytes([path])}`).join(', ')})`
}

try {
  if (process.getuid?.() !== 0) throw new Error('it takes root to mount and to become another user')
  await check()
} catch (error) {
  process.stderr.write(`image:check: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}

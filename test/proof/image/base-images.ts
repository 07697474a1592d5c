import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, symlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/** What stands in for a base image: `host` has what this machine has, `bare` has Node and no shell. */
export type Base = 'host' | 'bare'

/** Throws for an image that nothing stands in for. */
export function standInFor(image: string): Base {
  const [name = ''] = image.split(/@sha256:[0-9a-f]{64}$/)
  if (/^node:24(\.\d+\.\d+)?(-[\w.-]+)?$/.test(name)) return 'host'
  if (/^gcr\.io\/distroless\/nodejs24-debian\d+:nonroot$/.test(name)) return 'bare'
  throw new Error(`nothing stands in for the base image ${image}`)
}

/** Lays out a root as distroless has it: Node at its place with the libraries it is linked to, /tmp, and no shell. */
export function layOutBareRoot(root: string): void {
  for (const folder of ['dev', 'proc', 'tmp', 'nodejs/bin', 'usr/lib'])
    mkdirSync(join(root, folder), { recursive: true })
  chmodSync(join(root, 'tmp'), 0o1777)
  for (const name of ['lib', 'lib64']) symlinkSync('usr/lib', join(root, name))
  copyFileSync(process.execPath, join(root, 'nodejs/bin/node'))
  for (const library of librariesOf(process.execPath)) {
    mkdirSync(join(root, dirname(library)), { recursive: true })
    copyFileSync(library, join(root, library))
  }
}

function librariesOf(program: string): string[] {
  const { stdout, status } = spawnSync('ldd', [program], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`ldd cannot read the libraries of ${basename(program)}`)
  return [...stdout.matchAll(/\s(\/\S+) \(0x/g)].flatMap(([, path]) => path ?? [])
}

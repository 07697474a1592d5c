import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { type Base, layOutBareRoot, standInFor } from './base-images.ts'
import { runContainer } from './container.ts'
import type { Command, Instruction, Stage } from './dockerfile.ts'

const STEP_TIMEOUT_MS = 900_000

/** What comes out of a stage, and what it says of running it. */
export interface Image {
  readonly root: string
  workdir: string
  uid: number
  gid: number
  env: Record<string, string>
  labels: Record<string, string>
  entrypoint: readonly string[]
  command: readonly string[]
}

interface Site {
  /** Where roots are made. */
  readonly folder: string
  /** The build context. */
  readonly context: string
  readonly print: (line: string) => void
}

export interface PerformedStages {
  /** What the last stage makes. */
  readonly image: Image
  /** What each stage makes, by its name or its number. */
  readonly stages: ReadonlyMap<string, Image>
}

/** Performs all stages. Rejects at the first step that fails. */
export async function performStages(stages: readonly Stage[], site: Site): Promise<PerformedStages> {
  const images = new Map<string, Image>()
  let last: Image | undefined
  for (const [index, stage] of stages.entries()) {
    last = await performStage(stage, images, site)
    images.set(stage.name ?? String(index), last)
  }
  if (last === undefined) throw new Error('the Dockerfile has no stage')
  return { image: last, stages: images }
}

async function performStage(stage: Stage, images: ReadonlyMap<string, Image>, site: Site): Promise<Image> {
  const root = mkdtempSync(join(site.folder, 'root-'))
  chmodSync(root, 0o755)
  const base = standInFor(stage.base)
  site.print(`FROM ${stage.base} (stood in for by ${base === 'host' ? 'this machine' : 'Node alone'})`)
  if (base === 'bare') layOutBareRoot(root)
  const image = { root, workdir: '/', uid: 0, gid: 0, env: {}, labels: {}, entrypoint: [], command: [] }
  for (const instruction of stage.instructions) await perform(instruction, image, { base, images, site })
  return image
}

interface Dependencies {
  readonly base: Base
  readonly images: ReadonlyMap<string, Image>
  readonly site: Site
}

async function perform(step: Instruction, image: Image, dependencies: Dependencies): Promise<void> {
  const { images, site } = dependencies
  switch (step.kind) {
    case 'WORKDIR':
      image.workdir = resolve(image.workdir, step.path)
      mkdirSync(join(image.root, image.workdir), { recursive: true })
      return
    case 'COPY': {
      const from = step.from === undefined ? site.context : images.get(step.from)?.root
      if (from === undefined) throw new Error(`there is no stage ${step.from}`)
      for (const source of step.sources) copy(join(from, source), image, step.to)
      return
    }
    case 'RUN':
      site.print(`RUN ${step.command.form === 'shell' ? step.command.line : step.command.words.join(' ')}`)
      return run(step.command, image, dependencies.base)
    case 'USER':
      Object.assign(image, { uid: step.uid, gid: step.gid })
      return
    case 'ENV':
      Object.assign(image.env, step.pairs)
      return
    case 'LABEL':
      Object.assign(image.labels, step.pairs)
      return
    case 'ENTRYPOINT':
      image.entrypoint = step.words
      return
    case 'CMD':
      image.command = step.words
      return
    case 'EXPOSE':
  }
}

/** A folder's content, or a file: under its own name where the target ends in a slash or is a folder. */
function copy(source: string, { root, workdir }: Image, to: string): void {
  const target = join(root, resolve(workdir, to))
  const isFolder = statSync(source).isDirectory()
  const whole = isFolder || !/(^|\/)\.?$/.test(to) ? target : join(target, basename(source))
  mkdirSync(dirname(whole), { recursive: true })
  cpSync(source, whole, { recursive: true, verbatimSymlinks: true })
}

async function run(command: Command, image: Image, base: Base): Promise<void> {
  if (base === 'bare') {
    if (command.form === 'shell') throw new Error(`this image has no shell: ${command.line}`)
    const { code, output } = await runContainer(command.words, { ...image, isReadOnly: false })
    if (code !== 0) throw new Error(`ended with ${code}:\n${output}`)
    return
  }
  if (command.form === 'exec') throw new Error(`only a shell's line is run on this machine: ${command.words.join(' ')}`)
  // There it would mean another place than in the image.
  if (/(^|\s)\//.test(command.line)) throw new Error(`names a path of this machine: ${command.line}`)
  const PATH = `${dirname(process.execPath)}:${process.env['PATH']}`
  const { status, stdout, stderr } = spawnSync('sh', ['-c', command.line], {
    cwd: join(image.root, image.workdir),
    env: { ...process.env, PATH, ...image.env },
    encoding: 'utf8',
    timeout: STEP_TIMEOUT_MS,
  })
  if (status !== 0) throw new Error(`ended with ${status}:\n${stdout}${stderr}`)
}

/**
 * Copies what a build may see of a folder, by its .dockerignore.
 *
 * Throws unless that file is a star and then the names that are allowed. No other form is read here.
 */
export function copyContext(from: string, to: string): void {
  const lines = readFileSync(join(from, '.dockerignore'), 'utf8').split('\n')
  const [star, ...names] = lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'))
  if (star !== '*' || !names.every((name) => /^![\w.-]+$/.test(name)))
    throw new Error('.dockerignore is no list of names')
  const allowed = names.map((name) => name.slice(1))
  const missing = allowed.filter((name) => !readdirSync(from).includes(name))
  if (missing.length > 0) throw new Error(`.dockerignore lets in what is not there: ${missing.join(', ')}`)
  for (const name of allowed) cpSync(join(from, name), join(to, name), { recursive: true })
}

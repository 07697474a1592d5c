import { glob, lstat, readdir, stat } from 'node:fs/promises'
import { basename, join, normalize, sep } from 'node:path'
import { type Found, foundByName, localFile, SourceError } from './source-file.ts'

/** The most files that one folder or pattern may have. Their names are sorted in memory. */
const MAX_NAMES = 1_000_000
const PATTERN = /[*?[{]/

/**
 * Finds the files of a path or of a pattern such as `docs/*.md`, in the order of their names.
 *
 * In folders and patterns, hidden files and symbolic links are skipped; a link that is given itself is followed. Rejects
 * with SourceError if there is nothing of this name.
 */
export async function* findLocalFiles(input: string): AsyncGenerator<Found> {
  const path = normalize(input)
  const found = await stat(path).catch(() => undefined)
  if (found?.isDirectory()) yield* walk(path.endsWith(sep) && path !== sep ? path.slice(0, -1) : path)
  else if (found !== undefined) yield onlyFile(path, found.isFile())
  else if (PATTERN.test(path)) yield* matches(path)
  else throw new SourceError(`there is no file or folder ${input}`)
}

function onlyFile(path: string, isFile: boolean): Found {
  if (!isFile) throw new SourceError(`${path} is neither a file nor a folder`)
  const found = local(path)
  if (found.kind === 'skipped') throw new SourceError(`${path} cannot be read: ${found.why}`)
  return found
}

async function* walk(folder: string): AsyncGenerator<Found> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw new SourceError(`the folder ${folder} cannot be read`, { cause })
  })
  if (entries.length > MAX_NAMES) throw new SourceError(`the folder ${folder} has more than ${MAX_NAMES} entries`)
  const visible = entries.filter(({ name }) => !name.startsWith('.'))
  for (const entry of visible.sort((one, other) => (one.name < other.name ? -1 : 1))) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* walk(path)
    else if (entry.isFile()) yield local(path)
    else yield notAFile(path)
  }
}

async function* matches(pattern: string): AsyncGenerator<Found> {
  const paths: string[] = []
  for await (const path of glob(pattern)) {
    if (paths.length === MAX_NAMES) throw new SourceError(`${pattern} matches more than ${MAX_NAMES} names`)
    if (!isHidden(path, pattern)) paths.push(path)
  }
  let count = 0
  for (const path of paths.sort()) {
    const found = await lstat(path)
    if (found.isDirectory()) continue
    count += 1
    yield found.isFile() ? local(path) : notAFile(path)
  }
  if (count === 0) throw new SourceError(`${pattern} matches no file`)
}

/** A hidden name counts if the pattern itself names one. */
function isHidden(path: string, pattern: string): boolean {
  const isHiddenName = (name: string) => /^\.[^.]/.test(name)
  return path.split(sep).some(isHiddenName) && !pattern.split(sep).some(isHiddenName)
}

function local(path: string): Found {
  return foundByName(path, localFile(path))
}

function notAFile(path: string): Found {
  return { kind: 'skipped', name: path, why: `${basename(path)} is a symbolic link or no file` }
}

import { spawnSync } from 'node:child_process'
import { existsSync, globSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** Folders that git ignores, for a copy without git. */
const NOT_OURS = /(^|\/)(node_modules|dist|coverage|reports|\.git|\.stryker-tmp|\.cache|\.terraform)(\/|$)/

/** Paths of the project's own files, relative to its root; of a copy that git does not know, all that are not built. */
export function ownFiles(root: string): string[] {
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard']
  const { status, stdout } = spawnSync('git', args, { cwd: root, encoding: 'utf8' })
  const known = status === 0 ? stdout.split('\0').filter((path) => path !== '' && existsSync(join(root, path))) : []
  return (known.length > 0 ? known : walk(root)).sort()
}

/** The same without git. */
export function walk(root: string): string[] {
  const paths = globSync(['**/*', '.github/**/*'], { cwd: root, exclude: (path) => NOT_OURS.test(path) })
  return paths.filter((path) => statSync(join(root, path)).isFile())
}

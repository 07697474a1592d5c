import { join } from 'node:path'

const HERE = import.meta.dirname
/** A built command loads this from a folder beside the programs. In the repository each program has a folder. */
const isBuilt = import.meta.filename.endsWith('.mjs')

/** The file of a program that this command starts as a process. */
export function programFile(room: 'worker' | 'local' | 'cli'): string {
  return join(HERE, '..', isBuilt ? `${room}.mjs` : `${room}/main.ts`)
}

/** The file of the program that reads documents, which this command starts as a process. */
export function readerFile(): string {
  return join(HERE, '..', isBuilt ? 'reader.mjs' : 'shared/sources/reader/main.ts')
}

/** The folder of packages with READMEs: this repository's, or that of the working directory of an installed command. */
export function packagesFolder(): string {
  return isBuilt ? join(process.cwd(), 'node_modules') : join(HERE, '../node_modules')
}

/** How the user starts this command, without its arguments. */
export function invocation(): string {
  return isBuilt ? 'npx promptbridge' : 'npm run promptbridge --'
}

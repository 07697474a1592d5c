import { join } from 'node:path'

const HERE = import.meta.dirname
/** A built command is one file among its fellows; in the repository every program has a room. */
const isBuilt = import.meta.filename.endsWith('.mjs')

/** The file of a program that this command starts as a process. */
export function programFile(room: 'worker' | 'local' | 'cli'): string {
  return isBuilt ? join(HERE, `${room}.mjs`) : join(HERE, '..', room, 'main.ts')
}

/** Where packages with READMEs lie: this repository's, or those of the folder in which an installed command is used. */
export function packagesFolder(): string {
  return isBuilt ? join(process.cwd(), 'node_modules') : join(HERE, '../node_modules')
}

/** How the user starts this command; what follows are its arguments. */
export function invocation(): string {
  return isBuilt ? 'npx promptbridge' : 'npm run promptbridge --'
}

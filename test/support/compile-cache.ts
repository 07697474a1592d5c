import { resolve } from 'node:path'

const folder = process.env['NODE_COMPILE_CACHE']

/** For the environment of a process: what this one has compiled is not compiled again, which halves a start. */
export const compileCache: Readonly<Record<string, string>> =
  folder === undefined ? {} : { NODE_COMPILE_CACHE: resolve(folder) }

import { createHash } from 'node:crypto'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A text from an installed package. */
export interface Document {
  /** Its path below the packages' folder. */
  readonly name: string
  readonly text: string
}

/** READMEs longer than this are collections rather than documents. */
const MAX_BYTES = 200_000
const MIN_BYTES = 40

/**
 * Finds the README files of installed packages, without duplicates, in order of their names.
 *
 * Throws if there is none.
 */
export function findDocuments(folder: string): Document[] {
  const names = globSync('**/{README,readme,Readme}.{md,markdown,MD}', { cwd: folder }).sort()
  const seen = new Set<string>()
  const documents = names.flatMap((name) => {
    const bytes = readFileSync(join(folder, name))
    const hash = createHash('sha256').update(bytes).digest('base64')
    if (seen.has(hash) || bytes.length < MIN_BYTES || bytes.length > MAX_BYTES) return []
    seen.add(hash)
    return [{ name, text: bytes.toString('utf8').toWellFormed() }]
  })
  if (documents.length === 0) {
    throw new Error(`there is no README to summarise below ${folder}; "npm ci" installs packages that have one`)
  }
  return documents
}

import { mkdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PRIVATE_FILE, PRIVATE_FOLDER } from '../../shared/lib/private-files.ts'
import { sha256 } from '../../shared/lib/sha256.ts'
import { groupParts } from './document-parts.ts'
import { textIn } from './formats.ts'
import { type Listing, type Reader, type Result, readResults, type WrittenResults } from './read-results.ts'
import type { FailureFile } from './write-results.ts'

/**
 * Writes the text of each answer to a file of its own, and failed jobs to `failures`. The parts of a document share one file, in
 * order.
 */
export async function writeFolder(
  folder: string,
  reader: Reader,
  listing: Listing,
  { failures, isNew }: { readonly failures: FailureFile; readonly isNew?: (key: string) => boolean },
): Promise<WrittenResults> {
  mkdirSync(folder, { recursive: true, mode: PRIVATE_FOLDER })
  const results = readResults(reader, listing, isNew)
  const write = (name: string, text: string | Iterable<string>) =>
    writeFile(join(folder, fileNameOf(name)), text, { mode: PRIVATE_FILE })
  for await (const grouped of groupParts(results.read(), fileText)) {
    if (grouped.kind === 'document') await write(grouped.document.document, grouped.document.texts())
    else {
      const text = fileText(grouped.result)
      if (text === undefined) await failures.write(grouped.result)
      else await write(grouped.result.record.id, text)
    }
  }
  return results.written()
}

/** An answer without text, such as an embedding, is written as its JSON. Undefined if there is no answer. */
function fileText(result: Result): string | undefined {
  return result.kind === 'answer' ? `${(textIn(result) ?? result.answer).trimEnd()}\n` : undefined
}

/** Most file systems accept 255 bytes. */
const MAX_NAME = 120
const PLAIN_NAME = /^[a-z\d_.-]{1,120}$/
const HASH_CHARACTERS = 10

/**
 * A file name for a job's id, which is outside text: `docs/a b.pdf` becomes `docs_a_b.pdf-HASH.txt`. The hash tells apart
 * ids that become the same, also where names in upper and lower case are one file.
 */
export function fileNameOf(id: string): string {
  const plain = id.replaceAll(/[^\w.-]+/g, '_').replace(/^[.-]+/, '_')
  if (plain === id && PLAIN_NAME.test(id) && !/-[0-9a-f]{10}$/.test(id)) return `${plain}.txt`
  const hash = Buffer.from(sha256(id)).toString('hex').slice(0, HASH_CHARACTERS)
  return `${plain.slice(0, MAX_NAME)}-${hash}.txt`
}

import { z } from 'zod'
import type { Database } from './database.ts'
import { fields } from './values.ts'

/** The name of a part below a document. It contains the owner, so that parts of another owner are never used. */
export function partName(document: string, owner: string, n: number): string {
  return `${document}/parts/${owner}-${n}`
}

/**
 * The parts of an owner below a document, in order, each read in a call of its own: together they may have a hundred
 * mebibytes. Ends at the first that is missing or is no such part. Rejects with StoreError.
 */
export async function* readPartsOf<T>(
  database: Pick<Database, 'get'>,
  document: string,
  owner: string,
  part: z.ZodType<T>,
): AsyncGenerator<T> {
  for (let n = 0; ; n += 1) {
    const { found } = getAnswer.parse(await database.get(partName(document, owner, n)))
    const read = part.safeParse(found?.fields)
    if (!read.success) return
    yield read.data
  }
}

const getAnswer = z.object({ found: z.object({ fields }).nullish() })

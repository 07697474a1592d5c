import { StoreError } from '../job-store.ts'
import type { Database, NamedFields } from './database.ts'
import type { Walk } from './queries.ts'

/**
 * Yields every matching document of a collection in the order of their names, and holds few of them at a time.
 *
 * One query reads them all: an emulator sorts all matching documents for each query, so pages would take quadratic time.
 * Firestore ends a query that takes too long, as when the caller is slow. The next one goes on after the last document.
 * Rejects with StoreError.
 */
export async function* walkDocuments(
  database: Pick<Database, 'walk'>,
  collection: string,
  walk: Walk,
): AsyncGenerator<NamedFields> {
  let { after } = walk
  let isWhole = false
  while (!isWhole) {
    const begin = after
    try {
      for await (const document of database.walk(collection, { ...walk, after })) {
        after = document.name
        yield document
      }
      isWhole = true
    } catch (error) {
      const isCut = error instanceof StoreError && error.code === 'unavailable' && after !== begin
      if (!isCut) throw error
    }
  }
}

import { kept, type TelemetryKind, tokenFailureKind, toListing, workerInstanceKind } from '../telemetry-documents.ts'
import type { TelemetryStore } from '../telemetry-store.ts'
import type { Database } from './database.ts'
import { createDocumentWriter } from './document-writer.ts'
import { type PlainMap, toFields } from './values.ts'

/** Keeps telemetry in Firestore: `tokenFailures/{id}` and `workerInstances/{id}`. Rejects with StoreError. */
export function createFirestoreTelemetry(database: Database): TelemetryStore {
  const put = createDocumentWriter(database)

  function collection<T extends PlainMap>({ collection, schema, read, idOf, orderedBy }: TelemetryKind<T>) {
    // No document may be named `.`, `..` or `__x__`.
    const nameOf = (document: T) => `${database.root}/${collection}/id:${encodeURIComponent(idOf(document))}`
    return {
      async put(document: T) {
        await put({ name: nameOf(document), fields: toFields(kept(schema, document)) })
      },
      async since(since: number, limit?: number) {
        const found = await database.since(collection, orderedBy, { since, direction: 'DESCENDING', limit })
        return toListing(
          read,
          found.map(({ fields }) => fields),
        )
      },
    }
  }

  const failures = collection(tokenFailureKind)
  const instances = collection(workerInstanceKind)
  return {
    putTokenFailure: failures.put,
    putInstance: instances.put,
    tokenFailures: failures.since,
    instances: instances.since,
  }
}

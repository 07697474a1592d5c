import type { StoreConfig } from '../../shared/config/config.ts'
import { quote } from '../../shared/lib/quote.ts'

/** A Firestore database by its project and its id. */
export interface FirestorePlace {
  readonly project: string
  readonly database: string
}

const DEFAULT = '(default)'

export function placeOf({ project, database = DEFAULT }: Extract<StoreConfig, { kind: 'firestore' }>): FirestorePlace {
  return { project, database }
}

/** The place as text. */
export function describePlace({ project, database }: FirestorePlace): string {
  return database === DEFAULT ? project : `${project}, database ${database}`
}

/** The flag of gcloud for a database that is not the default one. */
export function databaseFlag({ database }: FirestorePlace): string {
  return database === DEFAULT ? '' : ` --database=${quote(database)}`
}

import type { JobRecord, StatusCounts, Usage } from '../job/record.ts'

/** A record as the store holds it. */
export interface StoredRecord {
  readonly record: JobRecord
  /** Opaque. It changes with every write. */
  readonly revision: string
  /** Milliseconds since the last write, by the store's own clock. */
  readonly ageMs: number
}

/** A page of the records that the sweep may have to change. */
export interface DuePage {
  readonly records: readonly StoredRecord[]
  /** The keys of malformed records. */
  readonly unreadable: readonly string[]
}

/** An entry of a listing: a record, or the key of an unreadable record. An unreadable record does not end the listing. */
export type ListedRecord = { readonly record: JobRecord } | { readonly unreadable: string }

/** Numbers of records by the kind of their error. */
export type FailureCounts = Readonly<Record<string, number>>

export type Write = { readonly kind: 'written'; readonly revision: string } | { readonly kind: 'refused' }

/**
 * What an adapter offers: documents with revisions, and text parts beside them.
 *
 * Every method rejects with StoreError when the store cannot be reached; a write may then have been applied.
 */
export interface RecordDocuments {
  /** Refused if the record is there already. */
  create(record: JobRecord): Promise<Write>
  /** Replaces the record; refused unless the revision is still the newest. */
  replace(record: JobRecord, revision: string): Promise<Write>
  read(key: string): Promise<StoredRecord | undefined>
  /** Every record of a batch, in no particular order, read as they are wanted. */
  list(batch: string): AsyncIterable<ListedRecord>
  /** How many records of a batch have each status; those of a status that is not known here are left out. */
  countByStatus(batch: string): Promise<StatusCounts>
  /** How many of a batch's dead-lettered records have each kind of error. Of more than 1,000, a store may count only some. */
  countFailures(batch: string): Promise<FailureCounts>
  /**
   * Yields all records that the sweep may have to change, in pages of about this size. They are selected by the clocks of
   * their writers, so only the record's age is exact. Unchanged records do not block later ones. `now`: epoch milliseconds.
   */
  due(now: number, pageSize: number): AsyncIterable<DuePage>
  /** The tokens of a batch's answers, or of those that came on one day, `yyyy-mm-dd` in UTC. */
  sumUsage(of: { readonly batch: string } | { readonly day: string }): Promise<Usage>
  /** Part `index` of the result that `owner` brings for a job. Writing the same part twice is harmless. */
  writePart(key: string, owner: string, index: number, text: string, expireAt: number): Promise<void>
  /** In order of their index, read one after the other; a missing part is left out. */
  readParts(key: string, owner: string): AsyncIterable<string>
}

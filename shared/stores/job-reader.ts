import type { JobRecord } from '../job/record.ts'
import { type JobReader, StoreError } from './job-store.ts'
import type { ListedRecord, RecordDocuments } from './record-documents.ts'
import { joinParts } from './result-parts.ts'

const ELSEWHERE = 'the answer is kept in a form that this version does not know'

/** Reads records and whole results over any store of documents. */
export function createJobReader(
  documents: Pick<RecordDocuments, 'read' | 'list' | 'countByStatus' | 'readParts'>,
): JobReader {
  return {
    async read(key) {
      return (await documents.read(key))?.record
    },
    countByStatus: (batch) => documents.countByStatus(batch),
    list: (batch) => documents.list(batch),
    async readResult(record) {
      if (record.status !== 'succeeded') return undefined
      if (record.result.in === 'record') return record.result.text
      if (record.result.in === 'elsewhere') throw new StoreError('corrupt', ELSEWHERE)
      return joinParts(record.result, documents.readParts(record.key, record.result.owner))
    },
  }
}

/** The record that a listing found. Throws StoreError `corrupt` if it cannot be read. */
export function recordOf(listed: ListedRecord): JobRecord {
  if ('record' in listed) return listed.record
  throw new StoreError('corrupt', `the record ${listed.unreadable} is malformed`)
}

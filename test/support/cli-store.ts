import type { TestContext } from 'node:test'
import type { JobRecord } from '../../shared/job/record.ts'
import { openSqliteDocuments } from '../../shared/stores/sqlite/sqlite-documents.ts'
import { DAY_MS } from './job-builders.ts'
import { runHosted } from './run-hosted.ts'
import { aTemporaryFile } from './temporary-file.ts'

/** A store that holds these records for a day from now, if they expire at all. Gives its path. */
export async function aStoreOf(t: TestContext, ...records: readonly JobRecord[]): Promise<string> {
  const path = await aTemporaryFile(t, 'records.db')
  const documents = await openSqliteDocuments(path, Date.now)
  const expireAt = Date.now() + DAY_MS
  for (const record of records) await documents.create('expireAt' in record ? { ...record, expireAt } : record)
  documents.close()
  return path
}

/** Runs a command on the store in this file. */
export function onStore(path: string, ...args: readonly string[]) {
  return runHosted([...args, '--store', `sqlite:${path}`])
}

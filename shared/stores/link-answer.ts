import { createHash } from 'node:crypto'
import { jobKey } from '../job/job.ts'
import type { SucceededRecord } from '../job/record.ts'
import { type LinkedJob, linked, type Settlement } from '../job/transitions.ts'
import { sha256 } from '../lib/sha256.ts'
import type { BatchReader } from './batch-store.ts'
import { StoreError } from './job-store.ts'
import type { RecordDocuments } from './record-documents.ts'

/** The answer of an earlier job that is the answer of this one, too. */
export interface EarlierAnswer {
  /** The record that links it. */
  readonly record: SucceededRecord
  /** The key of the record that has it. */
  readonly from: string
}

/** So many batches are looked through for those of the same source. */
const MAX_LISTED = 200
/** Answers that were linked before are in the newest one, so few batches have the answers of all. */
const MAX_EARLIER = 5

/** The batches that were made of the same inputs, the newest first; at most 5 of the last 200. Rejects with StoreError. */
export async function findEarlierBatches(
  batches: Pick<BatchReader, 'list'>,
  { source, except }: { readonly source: string; readonly except: string | undefined },
): Promise<readonly string[]> {
  const same = (await batches.list(MAX_LISTED)).filter((batch) => batch.source === source && batch.name !== except)
  return same.slice(0, MAX_EARLIER).map(({ name }) => name)
}

/** Looks for the answer of a job in these batches, in this order. Rejects with StoreError. */
export async function findAnswer(
  documents: Pick<RecordDocuments, 'read'>,
  earlier: readonly string[],
  job: LinkedJob,
  at: Settlement,
): Promise<EarlierAnswer | undefined> {
  for (const batch of earlier) {
    const from = jobKey(batch, job.id, sha256)
    const found = await documents.read(from).catch(ifReadable)
    const record = found && linked(job, found.record, at)
    if (record !== undefined) return { record, from }
  }
  return undefined
}

/** A record that cannot be read has no answer to link. */
function ifReadable(error: unknown): undefined {
  if (!(error instanceof StoreError && error.code === 'corrupt')) throw error
}

/**
 * Writes the record of a linked answer. Resolves with whether the job has a linked answer now; a record that is there
 * already stays as it is. False as well if the parts of the answer are not whole. Rejects with StoreError.
 */
export async function linkAnswer(
  documents: Pick<RecordDocuments, 'create' | 'read' | 'readParts' | 'writePart'>,
  { record, from }: EarlierAnswer,
): Promise<boolean> {
  if (!(await copyParts(documents, from, record))) return false
  if ((await documents.create(record)).kind === 'written') return true
  const found = await documents.read(record.key)
  return found?.record.status === 'succeeded' && found.record.linkedFrom !== undefined
}

/** Copies one part at a time. They keep the name of their owner, so a second copy writes the same. */
async function copyParts(
  documents: Pick<RecordDocuments, 'readParts' | 'writePart'>,
  from: string,
  { key, result, expireAt }: SucceededRecord,
): Promise<boolean> {
  if (result.in !== 'parts') return true
  const hash = createHash('sha256')
  let count = 0
  for await (const part of documents.readParts(from, result.owner)) {
    hash.update(part)
    await documents.writePart(key, result.owner, count, part, expireAt)
    count += 1
  }
  return count === result.count && hash.digest('hex') === result.sha256
}

import { isSettled, type SettledRecord } from '../../shared/job/record.ts'
import { type JobReader, StoreError } from '../../shared/stores/job-store.ts'
import type { ListedRecord } from '../../shared/stores/record-documents.ts'

export type Reader = Pick<JobReader, 'readResult'>
export type Listing = AsyncIterable<ListedRecord> | Iterable<ListedRecord>

type Succeeded = Extract<SettledRecord, { status: 'succeeded' }>

/** A settled job, as it is written. */
export type Result =
  /** `answer`: its JSON text. */
  | { readonly kind: 'answer'; readonly record: Succeeded; readonly answer: string }
  | { readonly kind: 'failure'; readonly record: Exclude<SettledRecord, Succeeded> }
  /** It succeeded, and the stored answer cannot be read. */
  | { readonly kind: 'torn'; readonly record: Succeeded }

/** What an output leaves out, and why. */
export interface WrittenResults {
  /** Records that cannot be read; they have no line. */
  readonly unreadable: number
  /** The keys of the first of them. */
  readonly keys: readonly string[]
  /** Answers that cannot be read; their lines have an error instead. */
  readonly torn: number
}

const MAX_KEYS = 20

/** Reads the results of a listing one after the other, and counts what cannot be written. */
export function readResults(reader: Reader, listing: Listing, isNew: (key: string) => boolean = () => true) {
  const keys: string[] = []
  let [unreadable, torn] = [0, 0]
  return {
    async *read(): AsyncGenerator<Result> {
      for await (const listed of listing) {
        if ('unreadable' in listed) {
          if (!isNew(`unreadable ${listed.unreadable}`)) continue
          unreadable += 1
          if (keys.length < MAX_KEYS) keys.push(listed.unreadable)
        } else if (isSettled(listed.record) && isNew(listed.record.key)) {
          const result = await readResult(reader, listed.record)
          if (result.kind === 'torn') torn += 1
          yield result
        }
      }
    },
    written: (): WrittenResults => ({ unreadable, keys, torn }),
  }
}

async function readResult(reader: Reader, record: SettledRecord): Promise<Result> {
  if (record.status !== 'succeeded') return { kind: 'failure', record }
  try {
    return { kind: 'answer', record, answer: (await reader.readResult(record)) ?? 'null' }
  } catch (error) {
    // The other jobs are still written.
    if (error instanceof StoreError && error.code === 'corrupt') return { kind: 'torn', record }
    throw error
  }
}

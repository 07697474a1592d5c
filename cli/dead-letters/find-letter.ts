import { jobKey } from '../../shared/job/job.ts'
import { sha256 } from '../../shared/lib/sha256.ts'
import type { DeadLetter } from '../../shared/stores/dead-letter-store.ts'
import type { StoreReaders } from '../../shared/stores/open.ts'
import { plainText } from '../plain-text.ts'
import { MAX_RUNS } from './obstacles.ts'

export interface LetterStores {
  readonly deadLetters: Pick<StoreReaders['deadLetters'], 'get'>
  readonly documents: Pick<StoreReaders['documents'], 'read'>
}

/** The letter with this id, or the latest letter of the job with this id. Rejects if there is none. */
export async function findLetter(
  { deadLetters, documents }: LetterStores,
  id: string,
  batch: string,
): Promise<DeadLetter> {
  if (/^[\w-]+:\d+$/.test(id)) {
    const letter = await deadLetters.get(id)
    if (letter !== undefined) return letter
  }
  const key = jobKey(batch, id, sha256)
  const latestRun = (await documents.read(key))?.record.run ?? 1
  for (let run = latestRun; run > Math.max(0, latestRun - MAX_RUNS); run -= 1) {
    const letter = await deadLetters.get(`${key}:${run}`)
    if (letter !== undefined) return letter
  }
  throw unknownLetter(id)
}

function unknownLetter(id: string): Error {
  return new Error(`there is no dead letter "${plainText(id)}"; \`dead-letters list\` prints the ids`)
}

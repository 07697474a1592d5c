import { sha256 } from '../../shared/lib/sha256.ts'
import type { DeadLetter, NewDeadLetter } from '../../shared/stores/dead-letter-store.ts'
import { DAY_MS, START } from './job-builders.ts'

export const LETTER_DATA = Buffer.from('{"id":"doc-7","prompt":"Summarise: …"}')

export const hashOf = (data: Uint8Array) => Buffer.from(sha256(data)).toString('hex')

/** One with every field there is. */
export function aNewDeadLetter(over: Partial<NewDeadLetter> = {}): NewDeadLetter {
  return {
    key: 'V4l-mtR_8sTtVXZ0AbCdEf',
    jobId: 'doc-7',
    batch: 'nightly',
    run: 2,
    model: 'gpt-4o',
    reason: 'rejected',
    code: 'content_filter',
    message: 'Azure refused the request',
    hint: 'Change the prompt.',
    verified: true,
    attributes: { batch: 'nightly', __own__: 'a name that Firestore keeps for itself' },
    at: START,
    expireAt: START + 30 * DAY_MS,
    ...over,
  }
}

/** The same as it stands once it came. */
export function aDeadLetterOf(came: NewDeadLetter = aNewDeadLetter(), data: Uint8Array = LETTER_DATA): DeadLetter {
  const { at, ...rest } = came
  const hash = hashOf(data)
  const of = { id: `${rest.key ?? hash}:${rest.run}`, data: { bytes: data.byteLength, sha256: hash } }
  return { ...rest, ...of, firstAt: at, lastAt: at, times: 1, replays: { n: 0 } }
}

import { findPaidTwice, findSentTwice, messageViolations } from '../../../cli/violations.ts'
import { count, type Exercised } from './exercised.ts'
import type { FakeFirestore } from './fake-database.ts'
import type { Monitor } from './monitor.ts'
import { covers, isOver, isUnderWay, readLetter, readRecord, type SeenRecord, unknownsIn } from './records.ts'
import { plainFields } from './stored-values.ts'

/** Looks at what is left when nothing happens any more. */
export function judgeEnd(monitor: Monitor, store: FakeFirestore, exercised: Exercised): void {
  const records = new Map(store.documents('promptJobs').map((document) => [keyIn(document.name), readRecord(document)]))
  const letters = store.documents('deadLetters').map(readLetter)
  judgeMessages(monitor, records, letters)
  judgePayments(monitor, records)
  judgePublished(monitor, letters)
  judgeBatches(monitor, store, records, exercised)
  for (const record of records.values()) tally(record, exercised)
}

type Letters = readonly ReturnType<typeof readLetter>[]

function judgeMessages(
  { published, answered, editedJobs, breach }: Monitor,
  records: ReadonlyMap<string, SeenRecord>,
  letters: Letters,
): void {
  for (const message of published) {
    const { key, hash, run } = message
    const record = key === undefined ? undefined : records.get(key)
    const isLetter = letters.some((letter) => letter.data.sha256 === hash && letter.run === run)
    // An edit of the record afterwards does not change that.
    const hadEnded = editedJobs.has(key ?? '') && answered.has(`${hash} ${run}`)
    const isCovered = hadEnded || (record !== undefined && covers(record, message))
    const wrong = messageViolations({ isAcknowledged: true, hasEnded: isLetter || isCovered })
    if (wrong.includes('never_ended'))
      breach('every-message-ends', `${hash.slice(0, 6)} run ${run} of ${key ?? 'no job'}`)
  }
  for (const record of records.values()) {
    if (isUnderWay(record)) breach('every-message-ends', `${record.key} is ${record.status}`)
  }
}

function judgePayments({ calls, mixedJobs, breach }: Monitor, records: ReadonlyMap<string, SeenRecord>): void {
  const sent = calls.filter(({ isBillable }) => isBillable).map(({ requestId }) => requestId)
  const unknownIn = (key: string, run: number) => {
    const record = records.get(key)
    return record === undefined ? 0 : unknownsIn(record, run)
  }
  for (const { run, sends, unknown } of findPaidTwice(sent, unknownIn)) {
    breach('paid-once', `${run}: ${sends} sends, ${unknown} of them unknown`)
  }
  for (const [requestId, sends] of findSentTwice(sent)) {
    const [key = ''] = requestId.split('.')
    // The last release numbers an attempt after one that was answered with a server error like that one.
    if (!mixedJobs.has(key)) breach('paid-once', `attempt ${requestId} was sent ${sends} times`)
  }
}

function judgePublished({ ends, events, breach }: Monitor, letters: Letters): void {
  for (const end of ends.keys()) {
    const [key, run, status] = end.split('/')
    if (!events.has(end)) breach('published-at-least-once', `no event of ${end}`)
    if (status !== 'dead_lettered') continue
    if (!letters.some((letter) => letter.key === key && letter.run === Number(run))) {
      breach('published-at-least-once', `no dead letter of ${end}`)
    }
  }
}

function judgeBatches(
  { events, editedJobs, breach }: Monitor,
  store: FakeFirestore,
  records: ReadonlyMap<string, SeenRecord>,
  exercised: Exercised,
): void {
  for (const { fields } of store.documents('promptBatches')) {
    const { name, total, completedAt, incomplete } = plainFields(fields)
    const settled = [...records.values()].filter((record) => record.batch === name && isOver(record)).length
    if (typeof total !== 'number') continue
    const as = completedAt !== undefined ? 'completed' : incomplete !== undefined ? 'incomplete' : undefined
    const isPublished = as !== undefined && events.has(`promptBatches/${name}/${total}/${as}`)
    const isRight = as === (settled < total ? 'incomplete' : 'completed')
    if (as !== undefined) count(exercised, `${as} batch`)
    // A record that an edit made unreadable may say that it runs for ever, or that it has ended.
    if (editedJobs.size > 0 ? as !== undefined && !isPublished : !isPublished || !isRight) {
      breach('batch-completes', `${name}: ${settled} of ${total} are settled, and it is ${as ?? 'under way'}`)
    }
  }
}

function tally({ status }: SeenRecord, exercised: Exercised): void {
  if (status === 'expired') count(exercised, 'expired job')
}

function keyIn(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1)
}

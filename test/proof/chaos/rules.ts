import { isDeepStrictEqual } from 'node:util'
import { findPaidTwice, findSentTwice, messageViolations, runOf } from '../../../cli/violations.ts'
import type { Call } from '../../../local/call-log.ts'
import { unknownAttempts } from '../../../shared/job/attempts.ts'
import { type Attempt, isSettled, type JobRecord, settledIn } from '../../../shared/job/record.ts'
import type { Evidence } from './evidence.ts'

/** Says of each place where it is broken what is wrong there. */
export type Rule = (evidence: Evidence) => readonly string[]

/** What must hold whatever went wrong, by its name. */
export const RULES: Readonly<Record<string, Rule>> = {
  'an acknowledged message has ended': ({ sent, records, letters, ...evidence }) => {
    const acked = acknowledged(evidence)
    const settled = records.filter(isSettled)
    const ended = new Set([
      ...settled.flatMap(({ payloadHash }) => payloadHash ?? []),
      ...letters.map(({ data }) => data.sha256),
    ])
    // Of a job that was cancelled before anybody had seen it, only the name is known.
    const unseen = new Set(settled.flatMap(({ key, payloadHash }) => (payloadHash === undefined ? key : [])))
    const isLost = ({ sha256, key }: Evidence['sent'][number]) =>
      messageViolations({
        isAcknowledged: acked.has(sha256),
        hasEnded: ended.has(sha256) || (key !== undefined && unseen.has(key)),
      }).includes('acknowledged_before_end')
    return sent
      .filter(isLost)
      .map(
        ({ sha256, key }) =>
          `${key ?? sha256} was acknowledged, and neither its record nor a dead letter says how it ended`,
      )
  },

  'every message is acknowledged in the end': ({ sent, ...evidence }) => {
    const acked = acknowledged(evidence)
    const isWaiting = ({ sha256 }: Evidence['sent'][number]) =>
      messageViolations({ isAcknowledged: acked.has(sha256), hasEnded: true }).includes('never_acknowledged')
    return sent.filter(isWaiting).map(({ key, sha256 }) => `${key ?? sha256} never was`)
  },

  'no job is left in the middle': ({ records }) =>
    records.filter((record) => !isSettled(record)).map(({ key, status }) => `${key} is ${status}`),

  'a run ends once': ({ events }) => {
    const ends = Map.groupBy(jobEvents(events), ({ run }) => run)
    return [...ends].flatMap(([run, published]) => {
      const ways = new Set(published.map(({ status }) => status))
      if (ways.size > 1) return [`${run} ended as ${[...ways].join(' and as ')}`]
      const [first, ...others] = published.map(({ data }): unknown => JSON.parse(data, dropUnreadable))
      return others.every((other) => isDeepStrictEqual(other, first))
        ? []
        : [`${run} was published with different answers`]
    })
  },

  'an end that was published stands': ({ events, records }) => {
    const byKey = new Map(records.map((record) => [record.key, record]))
    return jobEvents(events).flatMap(({ key, run, status, n }) => {
      const record = byKey.get(key)
      if (record === undefined) return [`${run} was published, and has no record`]
      if (record.run < n) return [`${run} was published, and its record is at run ${record.run}`]
      return record.run === n && record.status !== status
        ? [`${run} was published as ${status}, and is ${record.status}`]
        : []
    })
  },

  'every end is published': ({ sent, records, events }) => {
    const reported = new Set(events.map(({ id }) => id))
    // A job may be cancelled before it is published, and the run end before it ever is.
    const published = new Set(sent.map(({ key }) => key))
    return records
      .filter(isSettled)
      .filter(({ key, status }) => status !== 'cancelled' || published.has(key))
      .filter(({ key, run, status }) => !reported.has(`${key}/${run}/${status}`))
      .map(({ key, run, status }) => `${key} is ${status} in run ${run}, and no event reports it`)
  },

  'an answer is one that the model gave, and the one that is published': ({ records, results, asks, events }) => {
    const given = new Set(
      asks.filter(isBilled).map((call) => `${runOf(requestIdOf(call))} ${call.detail['requestId']}`),
    )
    const published = new Map(events.map(({ id, data }) => [id, data]))
    return records.flatMap(({ key, run, status, attempts }) => {
      if (status !== 'succeeded') return []
      const result = results.get(key)
      if (result === undefined) return [`${key} succeeded, and its answer cannot be read`]
      const last = attempts.findLast((attempt) => attempt.outcome === 'succeeded' && attempt.run === run)
      if (!given.has(`${key}.${run} ${last?.requestId}`))
        return [`${key} has an answer that no model gave in run ${run}`]
      const event = published.get(`${key}/${run}/succeeded`)
      return event === undefined || event.includes(result) ? [] : [`${key} has another answer than was published`]
    })
  },

  'a run is paid once, but for counted unknowns': ({ records, asks }) => {
    const unknown = unknownByRun(records)
    const sent = asks.filter(mayBeBilled).map(requestIdOf)
    return findPaidTwice(sent, (key, run) => unknown.get(`${key}.${run}`) ?? 0).map(
      ({ run, sends, unknown }) => `${run} was sent ${sends} times, and ${unknown} attempts are unknown`,
    )
  },

  // The last release drops what our records fold, and gives the next attempt a number that is already used.
  'an attempt is sent once': ({ asks }) => {
    const folded = Map.groupBy(asks.filter(isServerError), (call) => runOf(requestIdOf(call)))
    const others = asks.filter((call) => mayBeBilled(call) && !isServerError(call))
    return findSentTwice(others.map(requestIdOf))
      .filter(([attempt, sends]) => sends - 1 > (folded.get(runOf(attempt))?.length ?? 0))
      .map(([attempt, sends]) => `${attempt} was sent ${sends} times`)
  },

  'an attempt is not taken over while the model works on it': ({ records, asks }) => {
    const answered = asks.filter(({ status, detail }) => status === 200 && detail['fault'] === undefined)
    const byAttempt = Map.groupBy(answered, requestIdOf)
    return records.flatMap(({ key, attempts }) =>
      attempts.filter(isTakenOver).flatMap(({ run, n, startedAt, endedAt = 0 }) => {
        const name = `${key}.${run}.${n}`
        const isWorking = ({ at, durationMs }: Call) => endedAt < at + durationMs
        const isEarly = endedAt < startedAt + EARLY_MS
        return isEarly && byAttempt.get(name)?.some(isWorking) ? [`${name} was`] : []
      }),
    )
  },

  'a dead-lettered run has a dead letter': ({ records, events, letters }) => {
    const kept = new Set(letters.map(({ key, run }) => `${key}/${run}`))
    const now = records.flatMap(({ key, run, status }) => (status === 'dead_lettered' ? `${key}/${run}` : []))
    const before = jobEvents(events).flatMap(({ run, status }) => (status === 'dead_lettered' ? run : []))
    return [...new Set([...now, ...before])].filter((run) => !kept.has(run)).map((run) => `${run} has none`)
  },

  'a dead letter says why': ({ letters }) =>
    letters.filter(({ reason }) => reason === '').map(({ id }) => `${id} does not`),

  'a replay runs': ({ letters, records }) => {
    const runs = [...records, ...letters].map(({ key = '', run }) => ({ key, run }))
    const lastRuns = new Map([...Map.groupBy(runs, ({ key }) => key)].map(([key, own]) => [key, lastOf(own)]))
    return letters
      .filter(({ key = '', run, replays }) => replays.n > 0 && (lastRuns.get(key) ?? 0) <= run)
      .map(({ id }) => `${id} was replayed, and its next run left neither a record nor a dead letter`)
  },

  'the totals of a batch agree, and its end is published': ({ batches, records, events }) => {
    const published = new Set(events.map(({ id }) => id))
    const byBatch = Map.groupBy(records, ({ batch }) => batch)
    return batches.flatMap((batch) => {
      const { name, status, counts = {} } = batch
      const own = byBatch.get(name) ?? []
      if (status === 'open') return [`${name} was never sealed`]
      const { total } = batch
      if (own.length !== total) return [`${name} has ${own.length} records of ${total} jobs`]
      if (status === 'sealed') return [`${name} is not completed, though its ${total} jobs are settled`]
      if (settledIn(counts) !== total)
        return [`${name} was completed with ${settledIn(counts)} of ${total} jobs settled`]
      const missing = published.has(`promptBatches/${name}/${total}/completed`)
        ? []
        : [`the end of ${name} was never published`]
      return [...missing, ...miscounted(name, own, counts)]
    })
  },

  'a worker ends only when it is asked, in order and in time': ({ ends }) =>
    ends.flatMap(({ worker, wasAsked, code, tookMs }) => {
      if (!wasAsked) return [`worker ${worker} ended by itself, with ${code}`]
      if (code !== 0) return [`worker ${worker} ended with ${code} on SIGTERM`]
      return tookMs > MAX_DRAIN_MS ? [`worker ${worker} took ${tookMs} ms to end on SIGTERM`] : []
    }),
}

/** Cloud Run kills the process after 10 s; a busy machine is given three times as much. */
const MAX_DRAIN_MS = 30_000

/** A lease lasts 2.5 s here, but for what little is left of a push now and then. */
const EARLY_MS = 1_000

export interface Breach {
  readonly rule: string
  readonly what: string
}

/** Everything that must hold and does not. */
export function judge(evidence: Evidence): readonly Breach[] {
  return Object.entries(RULES).flatMap(([rule, find]) => find(evidence).map((what) => ({ rule, what })))
}

/** A replay after the end of its batch is not counted any more. */
function miscounted(name: string, own: readonly JobRecord[], counts: Readonly<Partial<Record<string, number>>>) {
  if (own.some(({ run }) => run > 1)) return []
  return [...Map.groupBy(own, ({ status }) => status)]
    .filter(([status, these]) => these.length !== (counts[status] ?? 0))
    .map(([status, these]) => `${name} has ${these.length} jobs ${status}, and counts ${counts[status] ?? 0}`)
}

const UNREADABLE: readonly string[] = ['usageKnown', 'cost']

/** A reviver for JSON.parse: the last release does not know these fields, and leaves them out where it repeats an event. */
function dropUnreadable(field: string, value: unknown): unknown {
  return UNREADABLE.includes(field) ? undefined : value
}

const JOB_EVENT = /^(?<run>(?<key>[\w-]+)\/(?<n>\d+))\/(?<status>\w+)$/

function jobEvents(events: Evidence['events']) {
  return events.flatMap(({ id, data }) => {
    const { run = '', key = '', n, status = '' } = JOB_EVENT.exec(id)?.groups ?? {}
    return n === undefined ? [] : [{ run, key, n: Number(n), status, data }]
  })
}

/** A worker that ends its own attempt records the deployment. Without one, another worker took the job over. */
function isTakenOver({ outcome, deployment }: Attempt): boolean {
  return outcome === 'unknown' && deployment === undefined
}

function lastOf(runs: readonly { readonly run: number }[]): number {
  return Math.max(...runs.map(({ run }) => run))
}

/** By either subscription: what was delivered too often is forwarded. */
function acknowledged({ pushes, letterPushes }: Pick<Evidence, 'pushes' | 'letterPushes'>): ReadonlySet<string> {
  return new Set([...pushes, ...letterPushes].filter(isAcked).map(payloadOf))
}

export function unknownByRun(records: readonly JobRecord[]): ReadonlyMap<string, number> {
  const runsOf = ({ attempts, folded = [] }: JobRecord) => new Set([...attempts, ...folded].map(({ run }) => run))
  const counts = records.flatMap((record) =>
    [...runsOf(record)].map((run) => [`${record.key}.${run}`, unknownAttempts(record, run)] as const),
  )
  return new Map(counts.filter(([, count]) => count > 0))
}

export function isAcked({ detail }: Pick<Call, 'detail'>): boolean {
  return detail['acked'] === true
}

export function payloadOf({ detail }: Pick<Call, 'detail'>): string {
  return String(detail['dataSha256'])
}

export function isBilled({ detail }: Call): boolean {
  return detail['billed'] === true
}

/** Of whatever was not refused, the caller cannot know whether it is billed. */
function mayBeBilled(call: Call): boolean {
  const { status } = call
  return isBilled(call) || status === null || status < 400 || status === 408 || status >= 500
}

function isServerError({ status }: Call): boolean {
  return status !== null && status >= 500
}

/** The worker names its requests KEY.RUN.ATTEMPT. */
function requestIdOf({ detail }: Call): string {
  return String(detail['clientRequestId'])
}

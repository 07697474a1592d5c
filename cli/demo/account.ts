import { unknownAttempts } from '../../shared/job/attempts.ts'
import { isSettled, type JobRecord } from '../../shared/job/record.ts'
import { findPaidTwice, messageViolations } from '../violations.ts'
import type { Call } from './call-log.ts'

/** What the stand-ins and the store recorded of one batch. Nothing in it comes from the worker. */
export interface Evidence {
  /** How many jobs were submitted. */
  readonly total: number
  readonly records: readonly JobRecord[]
  /** Pushes, as Pub/Sub logged them. */
  readonly pushes: readonly Call[]
  /** Requests for an answer, as Azure OpenAI logged them. */
  readonly asks: readonly Call[]
  /** Requests for a token, as Entra logged them. */
  readonly exchanges: readonly Call[]
  /** Names of the records whose message is kept as a dead letter. */
  readonly deadLetterKeys: ReadonlySet<string>
}

export interface Accounts {
  readonly jobs: number
  readonly succeeded: number
  readonly deadLettered: number
  readonly pushes: number
  /** Pushes of messages that were sent twice on purpose. */
  readonly duplicates: number
  /** Pushes that were not acknowledged: the message is redelivered. */
  readonly deferred: number
  readonly modelCalls: number
  readonly paidCalls: number
  readonly throttledCalls: number
  readonly tokenExchanges: number
  readonly failedExchanges: number
  /** Attempts that were sent and of which it is unknown whether they were billed. */
  readonly unknownOutcomes: number
  readonly promptTokens: number
  readonly completionTokens: number
  /** Milliseconds a delivery took beyond the model's own time; absent without a delivery to measure it by. */
  readonly addedLatencyMs: { readonly p50: number; readonly p95: number } | undefined
  /** Everything that does not add up. */
  readonly problems: readonly string[]
}

/** Calculates the accounts of a batch, and lists all that does not add up. */
export function account(evidence: Evidence): Accounts {
  const { total, records, pushes, asks, exchanges } = evidence
  const asksOf = Map.groupBy(asks, keyOf)
  const paid = asks.filter(isPaid)
  const unknown = records.reduce((sum, record) => sum + unknownAttempts(record), 0)
  return {
    jobs: total,
    succeeded: countStatus(records, 'succeeded'),
    deadLettered: countStatus(records, 'dead_lettered'),
    pushes: pushes.length,
    duplicates: pushes.filter(({ detail }) => detail['duplicate'] === true).length,
    deferred: pushes.filter(({ detail }) => detail['acked'] === false).length,
    modelCalls: asks.length,
    paidCalls: paid.length,
    throttledCalls: asks.filter(({ status }) => status === 429).length,
    tokenExchanges: exchanges.filter(({ status }) => status === 200).length,
    failedExchanges: exchanges.filter(({ status }) => status !== 200).length,
    unknownOutcomes: unknown,
    promptTokens: sum(paid, 'promptTokens'),
    completionTokens: sum(paid, 'completionTokens'),
    addedLatencyMs: addedLatency(records, pushes, asksOf),
    problems: [
      ...missing(evidence),
      ...paidTwice(records, paid),
      ...records.flatMap((record) => violations(record, asksOf.get(record.key) ?? [], evidence)),
    ],
  }
}

function missing({ total, records }: Evidence): string[] {
  const lost = total - records.length
  if (lost === 0) return []
  return [lost > 0 ? `${lost} of ${total} jobs have no record` : `${-lost} records belong to no submitted job`]
}

function paidTwice(records: readonly JobRecord[], paid: readonly Call[]): string[] {
  const byKey = new Map(records.map((record) => [record.key, record]))
  const unknownIn = (key: string) => {
    const record = byKey.get(key)
    return record === undefined ? 0 : unknownAttempts(record)
  }
  // The demo replays nothing: a further run of a job is not allowed to be paid for.
  const sends = paid.map((call) => `${keyOf(call)}.1`)
  return findPaidTwice(sends, unknownIn).map(
    ({ key, sends, unknown }) =>
      `"${byKey.get(key)?.id ?? key}" was paid for ${sends} times, with ${unknown} unknown outcomes`,
  )
}

/** What is wrong with one job. */
function violations(record: JobRecord, asks: readonly Call[], { pushes, deadLetterKeys }: Evidence): string[] {
  const isAcknowledged = pushes.some(
    ({ detail }) => detail['dataSha256'] === record.payloadHash && detail['acked'] === true,
  )
  const wrong = messageViolations({ isAcknowledged, hasEnded: isSettled(record) })
  if (wrong.includes('never_ended')) return [`"${record.id}" is ${record.status}, though its message is gone`]
  const found: string[] = []
  if (record.status === 'succeeded' && !asks.some(isPaid)) found.push(`"${record.id}" has an answer that no model gave`)
  if (record.status === 'dead_lettered' && !deadLetterKeys.has(record.key)) {
    found.push(`"${record.id}" is dead-lettered, and its message is not kept as a dead letter`)
  }
  if (wrong.includes('never_acknowledged')) found.push(`"${record.id}" was never acknowledged`)
  return found
}

/** The worker names its requests to the model KEY.RUN.ATTEMPT. */
function requestIdOf({ detail }: Call): string {
  return String(detail['clientRequestId'])
}

function keyOf(call: Call): string {
  return requestIdOf(call).split('.', 1).join()
}

function isPaid({ detail }: Call): boolean {
  return detail['billed'] === true
}

function countStatus(records: readonly JobRecord[], status: JobRecord['status']): number {
  return records.filter((record) => record.status === status).length
}

function sum(calls: readonly Call[], name: string): number {
  return calls.reduce((total, { detail }) => total + Number(detail[name] ?? 0), 0)
}

/** Measured on jobs with one push and one model call, where the two logs describe the same request. */
function addedLatency(records: readonly JobRecord[], pushes: readonly Call[], asksOf: ReadonlyMap<string, Call[]>) {
  const pushesOf = Map.groupBy(pushes, ({ detail }) => String(detail['dataSha256']))
  const added = records
    .flatMap(({ key, payloadHash }) => {
      const [push, ...otherPushes] = pushesOf.get(payloadHash ?? '') ?? []
      const [ask, ...otherAsks] = asksOf.get(key) ?? []
      if (push === undefined || ask === undefined || otherPushes.length + otherAsks.length > 0) return []
      return [push.durationMs - ask.durationMs]
    })
    .sort((a, b) => a - b)
  const [p50, p95] = [quantile(added, 0.5), quantile(added, 0.95)]
  return p50 === undefined || p95 === undefined ? undefined : { p50, p95 }
}

/** The smallest value that at least this share of them does not exceed. */
function quantile(sorted: readonly number[], share: number): number | undefined {
  return sorted[Math.ceil(share * sorted.length) - 1]
}

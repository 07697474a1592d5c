import type { JobRecord } from '../../../shared/job/record.ts'
import type { Evidence } from './evidence.ts'
import type { PlannedFault } from './plan.ts'
import { type Breach, isAcked, isBilled, payloadOf, unknownByRun } from './rules.ts'
import { isDuplicate, type Tally } from './tally.ts'

/** What a run was, and what came of it. Times are milliseconds. */
export interface Report {
  readonly seed: number
  readonly store: string
  readonly workers: number
  readonly faultsLastedMs: number
  /** From the end of the faults until all was at rest; absent where it never was. */
  readonly restedAfterMs: number | undefined
  readonly messages: number
  readonly ended: Readonly<Partial<Record<JobRecord['status'], number>>>
  readonly deadLetters: number
  readonly events: number
  readonly pushes: { readonly all: number; readonly duplicates: number; readonly deferred: number }
  readonly rescues: number
  readonly replays: number
  readonly sweeps: number
  /** unknownAttempts: may have been billed or not, because an answer was lost or a job taken over. */
  readonly model: { readonly calls: number; readonly paid: number; readonly unknownAttempts: number }
  /** From a message's publish to its first acknowledgement. */
  readonly acknowledgedAfterMs: { readonly p50: number; readonly p95: number } | undefined
  readonly faults: readonly Tally[]
  readonly shortfalls: readonly string[]
  readonly breaches: readonly Breach[]
}

type Figures = 'ended' | 'deadLetters' | 'events' | 'pushes' | 'model' | 'messages' | 'acknowledgedAfterMs' | 'rescues'

/** Counts what was gathered. `replays`: messages that replays published. */
export function countEvidence(evidence: Evidence, replays: number): Pick<Report, Figures> {
  const { sent, records, letters, events, pushes, asks } = evidence
  const unknown = [...unknownByRun(records).values()].reduce((sum, count) => sum + count, 0)
  const published = new Set(pushes.map(({ detail }) => detail['messageId'])).size
  return {
    messages: sent.length,
    ended: Object.fromEntries(
      [...Map.groupBy(records, ({ status }) => status)].map(([status, all]) => [status, all.length]),
    ),
    deadLetters: letters.length,
    events: events.length,
    pushes: {
      all: pushes.length,
      duplicates: pushes.filter(isDuplicate).length,
      deferred: pushes.filter((push) => !isAcked(push)).length,
    },
    // Whatever was delivered and neither submitted nor replayed.
    rescues: Math.max(0, published - sent.length - replays),
    model: { calls: asks.length, paid: asks.filter(isBilled).length, unknownAttempts: unknown },
    acknowledgedAfterMs: acknowledgedAfter(evidence),
  }
}

function acknowledgedAfter({ sent, pushes, letterPushes }: Evidence): Report['acknowledgedAfterMs'] {
  const first = new Map<string, number>()
  for (const push of [...pushes, ...letterPushes].filter(isAcked)) {
    const at = push.at + push.durationMs
    first.set(payloadOf(push), Math.min(at, first.get(payloadOf(push)) ?? at))
  }
  const waits = sent.flatMap(({ sha256, at }) => (first.get(sha256) ?? Number.NaN) - at).filter((ms) => ms >= 0)
  const sorted = waits.toSorted((a, b) => a - b)
  const quantile = (share: number) => Math.round(sorted[Math.ceil(share * sorted.length) - 1] ?? 0)
  return sorted.length === 0 ? undefined : { p50: quantile(0.5), p95: quantile(0.95) }
}

/** Whether it proves what it is meant to prove. */
export function holds({ breaches, shortfalls }: Report): boolean {
  return breaches.length + shortfalls.length === 0
}

/** Lines for people. */
export function printReport(report: Report): string {
  const { pushes, model, ended, acknowledgedAfterMs: waits, breaches, shortfalls, restedAfterMs } = report
  const seconds = (ms: number | undefined) => (ms === undefined ? 'never' : `${(ms / 1_000).toFixed(1)} s`)
  const figures = [
    ['messages', `${report.messages}: ${list(ended)}`],
    ['dead letters', `${report.deadLetters}, replayed ${report.replays}`],
    ['events', String(report.events)],
    ['pushes', `${pushes.all}, of them ${pushes.duplicates} duplicates; ${pushes.deferred} deferred`],
    ['rescues', String(report.rescues)],
    ['sweeps', String(report.sweeps)],
    ['model calls', `${model.calls}, paid ${model.paid}; unknown attempts ${model.unknownAttempts}`],
    [
      'acknowledged',
      waits === undefined ? 'never' : `p50 ${seconds(waits.p50)}, p95 ${seconds(waits.p95)} after publish`,
    ],
    ['at rest', `${seconds(restedAfterMs)} after the last fault was lifted`],
  ]
  const faults = report.faults.map(({ kind, planned, tookPlace }) => `  ${pad(tookPlace)} of ${pad(planned)}  ${kind}`)
  const wrong = [
    ...shortfalls.slice(0, MOST),
    ...breaches.slice(0, MOST).map(({ rule, what }) => `BROKEN  ${rule}: ${what}`),
  ]
  const more = breaches.length > MOST ? [`… and ${breaches.length - MOST} more`] : []
  const verdict = holds(report) ? 'everything held' : `${breaches.length} breaches, ${shortfalls.length} shortfalls`
  const lines = figures.map(([name = '', value = '']) => `  ${name.padEnd(14)}${value}`)
  return ['faults that took place', ...faults, '', 'what came of it', ...lines, '', ...wrong, ...more, verdict].join(
    '\n',
  )
}

const MOST = 30

function list(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ')
}

function pad(count: number): string {
  return String(count).padStart(4)
}

/** The plan, a line for each fault. */
export function printPlan(plan: readonly PlannedFault[]): string {
  return plan
    .map(({ name, atMs, worker, fault }) => {
      const whom = ['worker', 'firestore', 'pubsub'].includes(fault.on) ? `, worker ${worker}` : ''
      const long = 'ms' in fault ? ` for ${fault.ms} ms` : ''
      return `  ${(atMs / 1_000).toFixed(1).padStart(6)} s  ${name.padEnd(10)} ${fault.on}: ${fault.kind}${long}${whom}`
    })
    .join('\n')
}

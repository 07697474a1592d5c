import type { Invariant } from './invariants.ts'
import { outageRules } from './outage-rules.ts'

/** One change of one file: `find` stands there exactly once. */
export interface Patch {
  readonly file: string
  readonly find: string
  readonly replace: string
}

/** A rule that can be taken out. */
export interface Rule {
  /** A rule that is kept in two places is taken out of both. */
  readonly patches: readonly Patch[]
  /** What shows that it is gone; undefined: anything. */
  readonly invariant?: Invariant
}

const CLAIM = 'shared/job/claim.ts'
const FAILURES = 'shared/job/failures.ts'
const JOB_STORE = 'shared/stores/job-store/create-job-store.ts'
const DOCUMENTS = 'shared/stores/firestore/firestore-documents.ts'
const RUN_JOB = 'worker/jobs/run-job.ts'

const patches: Readonly<Record<string, Patch>> = {
  fence: {
    file: DOCUMENTS,
    find: 'const precondition = { updateTime: fromRevision(revision) }',
    replace: 'const precondition = { exists: true, ...(revision === undefined && fromRevision(revision)) }',
  },
  'create-once': {
    file: DOCUMENTS,
    find: 'fields: fieldsOf(record), precondition: { exists: false } })',
    replace: 'fields: fieldsOf(record) })',
  },
  'ack-after-settle': {
    file: RUN_JOB,
    find: 'return await settle(dependencies.settle, answered, held, succeededWith(reply, used, deployment))',
    replace: `void settle(dependencies.settle, answered, held, succeededWith(reply, used, deployment)).catch(() => undefined)
      return { done: true, as: 'succeeded', logFields: answered.logFields }`,
  },
  'settle-before-publish': {
    file: 'worker/jobs/settle-job.ts',
    find: '  const result = await write(ending).catch(',
    replace: `  const early = { ...held.record, ...ending, settledAt: dependencies.now(), result: { in: 'record', text: '{}' } }
  await dependencies.announce(early as never)
  const result = await write(ending).catch(`,
  },
  'payload-hash': {
    file: CLAIM,
    find: "if (wanted.payloadHash !== (record.payloadHash ?? wanted.payloadHash)) return { kind: 'conflict' }",
    replace: '',
  },
  lease: { file: CLAIM, find: 'return ageMs >= record.leaseMs', replace: 'return ageMs >= 0 || record.leaseMs > 0' },
  'lease-before-send': {
    file: 'worker/jobs/ask.ts',
    find: 'if (leftMs() <= 0) return notSent(OUT_OF_TIME)',
    replace: '',
  },
  'one-write-a-document': {
    file: 'shared/stores/firestore/coalesce-writes.ts',
    find: 'if (fits && !names.has(next.name)) {',
    replace: 'if (fits) {',
  },
  'unknown-at-takeover': {
    file: JOB_STORE,
    find: 'nextAttempt(withDeadAttempt(decision.dead, now), request)',
    replace: 'nextAttempt(now > 0 ? decision.dead : withDeadAttempt(decision.dead, now), request)',
  },
  'stale-owner': {
    file: CLAIM,
    find: "if (found.owner === owner) return found.status === 'running' ? 'again' : 'applied'",
    replace: "if (owner !== undefined) return found.status === 'running' ? 'again' : 'applied'",
  },
  'own-claim': {
    file: CLAIM,
    find: "if (record.status === 'running' && record.owner === wanted.owner) return { kind: 'mine', record }",
    replace: '',
  },
  'parts-before-settle': {
    file: JOB_STORE,
    find: 'await Promise.all(parts.map(',
    replace: 'void Promise.allSettled(parts.map(',
  },
  'no-rescue-of-the-settled': {
    file: 'shared/job/forwarded.ts',
    find: "      return { kind: 'nothing', ended: decision.record }",
    replace: '      return RESCUE',
  },
  'next-run-only': {
    file: CLAIM,
    find: "return wantedRun === record.run + 1 ? { kind: 'next_run' } : { kind: 'impossible_run' }",
    replace: "return { kind: 'next_run' }",
  },
  cancel: {
    file: 'worker/limits/batch-controls.ts',
    find: 'if (found?.cancelledAt === undefined) return',
    replace: 'if (found !== undefined || found === undefined) return',
  },
  'cancel-leaves-the-holder': {
    file: CLAIM,
    find: "if (record.status === 'waiting' || isLeaseOver(record, ageMs)) return { kind: 'cancel', record }",
    replace: "if (record.status === 'waiting' || record.status === 'running') return { kind: 'cancel', record }",
  },
  'unknown-counts': {
    file: FAILURES,
    find: "ambiguous: { marks: 'attempt', askAgain: false }",
    replace: "ambiguous: { marks: 'none', askAgain: false }",
  },
  'ask-once-when-in-doubt': {
    file: FAILURES,
    find: "ambiguous: { marks: 'attempt', askAgain: false }",
    replace: "ambiguous: { marks: 'attempt', askAgain: true }",
  },
  'max-attempts': {
    file: FAILURES,
    find: "return isTimeout || counted + 1 >= policy.maxAttempts ? 'max_attempts' : undefined",
    replace: "return isTimeout && counted < 0 ? 'max_attempts' : undefined",
  },
  'repeat-what-follows': {
    file: RUN_JOB,
    find: "return followUp(dependencies.settle, context, claim.record, 'repeated')",
    replace: "return { done: true, as: 'repeated', logFields }",
  },
  'event-before-letter': {
    file: 'worker/jobs/settle-job.ts',
    find: `  await dependencies.announce(record)
  if (record.status !== 'dead_lettered') return { done: true, as, logFields }
  const { kind, code, hint } = record.error
  const cause = { reason: kind, message: record.error.message, code, hint, key: record.key }
  await dependencies.deadLetter(message, cause, job)
`,
    replace: `  if (record.status !== 'dead_lettered') {
    await dependencies.announce(record)
    return { done: true, as, logFields }
  }
  const { kind, code, hint } = record.error
  const cause = { reason: kind, message: record.error.message, code, hint, key: record.key }
  await dependencies.deadLetter(message, cause, job)
  await dependencies.announce(record)
`,
  },
  'record-for-the-unseen': {
    file: 'worker/dead-letters/record.ts',
    find: 'const ended = found === undefined ? timeOverUnseen(job, error, at) : unsettled && timeOver(unsettled, error, at)',
    replace: 'const ended = unsettled && (timeOverUnseen(job, error, at), timeOver(unsettled, error, at))',
  },
  'publish-what-was-given-up': {
    file: 'worker/dead-letters/record.ts',
    find: 'if (ended !== undefined) await recording.announce(ended)',
    replace: '',
  },
  'sweep-grace': {
    file: CLAIM,
    find: 'const SWEEP_GRACE_MS = 60_000',
    replace: 'const SWEEP_GRACE_MS = 0',
  },
  'publish-before-complete': {
    file: 'worker/sweep/sweep-batches.ts',
    find: '  const announced = await course.attempt(',
    replace: '  await batches.end(name, ending)\n  const announced = await course.attempt(',
  },
}

/** The rules that `--break` knows, each with the changes that break it. docs/reliability.md says what each is for. */
export const rules: Readonly<Record<string, Rule>> = {
  ...Object.fromEntries(Object.entries(patches).map(([name, patch]) => [name, { patches: [patch] }])),
  ...outageRules,
}

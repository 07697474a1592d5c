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
  /** The invariant that is breached without it. */
  readonly invariant: Invariant
}

const CLAIM = 'shared/job/claim.ts'
const FAILURES = 'shared/job/failures.ts'
const JOB_STORE = 'shared/stores/job-store/create-job-store.ts'
const DOCUMENTS = 'shared/stores/firestore/firestore-documents.ts'
const RUN_JOB = 'worker/jobs/run-job.ts'

const single: Readonly<Record<string, Patch & Pick<Rule, 'invariant'>>> = {
  fence: {
    invariant: 'one-result',
    file: DOCUMENTS,
    find: 'const precondition = { updateTime: fromRevision(revision) }',
    replace: 'const precondition = { exists: true, ...(revision === undefined && fromRevision(revision)) }',
  },
  'create-once': {
    invariant: 'one-result',
    file: DOCUMENTS,
    find: 'fields: fieldsOf(record), precondition: { exists: false } })',
    replace: 'fields: fieldsOf(record) })',
  },
  'ack-after-settle': {
    invariant: 'ack-after-record',
    file: RUN_JOB,
    find: 'return await settle(dependencies.settle, answered, held, succeededWith(reply, used, deployment))',
    replace: `void settle(dependencies.settle, answered, held, succeededWith(reply, used, deployment)).catch(() => undefined)
      return { done: true, as: 'succeeded', logFields: answered.logFields }`,
  },
  'settle-before-publish': {
    invariant: 'published-after-settle',
    file: 'worker/jobs/settle-job.ts',
    find: '  const result = await write(ending).catch(',
    replace: `  const early = { ...held.record, ...ending, settledAt: dependencies.now(), result: { in: 'record', text: '{}' } }
  await dependencies.announce(early as never)
  const result = await write(ending).catch(`,
  },
  'payload-hash': {
    invariant: 'ack-after-record',
    file: CLAIM,
    find: "if (wanted.payloadHash !== (record.payloadHash ?? wanted.payloadHash)) return { kind: 'conflict' }",
    replace: '',
  },
  lease: {
    invariant: 'live-lease',
    file: CLAIM,
    find: 'return ageMs >= record.leaseMs',
    replace: 'return ageMs >= 0 || record.leaseMs > 0',
  },
  'lease-before-send': {
    invariant: 'asked-under-lease',
    file: 'worker/jobs/ask.ts',
    find: 'if (leftMs() <= 0) return notSent(OUT_OF_TIME)',
    replace: '',
  },
  'one-write-a-document': {
    invariant: 'one-write-at-a-time',
    file: 'shared/stores/firestore/coalesce-writes.ts',
    find: 'if (fits && !names.has(next.name)) {',
    replace: 'if (fits) {',
  },
  'unknown-at-takeover': {
    invariant: 'paid-once',
    file: JOB_STORE,
    find: 'nextAttempt(withDeadAttempt(decision.dead, now), request)',
    replace: 'nextAttempt(now > 0 ? decision.dead : withDeadAttempt(decision.dead, now), request)',
  },
  'stale-owner': {
    invariant: 'paid-once',
    file: CLAIM,
    find: "if (found.owner === owner) return found.status === 'running' ? 'again' : 'applied'",
    replace: "if (owner !== undefined) return found.status === 'running' ? 'again' : 'applied'",
  },
  'own-claim': {
    invariant: 'lost-reply-is-free',
    file: CLAIM,
    find: "if (record.status === 'running' && record.owner === wanted.owner) return { kind: 'mine', record }",
    replace: '',
  },
  'parts-before-settle': {
    invariant: 'whole-answer',
    file: JOB_STORE,
    find: 'await Promise.all(parts.map(',
    replace: 'void Promise.allSettled(parts.map(',
  },
  'no-rescue-of-the-settled': {
    invariant: 'no-idle-rescue',
    file: 'shared/job/forwarded.ts',
    find: "      return { kind: 'nothing', ended: decision.record }",
    replace: '      return RESCUE',
  },
  'next-run-only': {
    invariant: 'runs-in-order',
    file: CLAIM,
    find: "return wantedRun === record.run + 1 ? { kind: 'next_run' } : { kind: 'impossible_run' }",
    replace: "return { kind: 'next_run' }",
  },
  cancel: {
    invariant: 'cancel-applied',
    file: 'worker/limits/batch-controls.ts',
    find: 'if (found?.cancelledAt === undefined) return',
    replace: 'if (found !== undefined || found === undefined) return',
  },
  'cancel-leaves-the-holder': {
    invariant: 'live-lease',
    file: CLAIM,
    find: "if (record.status === 'waiting' || isLeaseOver(record, ageMs)) return { kind: 'cancel', record }",
    replace: "if (record.status === 'waiting' || record.leaseMs >= 0) return { kind: 'cancel', record }",
  },
  'unknown-counts': {
    invariant: 'attempts-bounded',
    file: FAILURES,
    find: "ambiguous: { marks: 'attempt',",
    replace: "ambiguous: { marks: 'none',",
  },
  'ask-once-when-in-doubt': {
    invariant: 'one-billed-send',
    file: FAILURES,
    find: "ambiguous: { marks: 'attempt', askAgain: false, askElsewhere: false }",
    replace: "ambiguous: { marks: 'attempt', askAgain: true, askElsewhere: true }",
  },
  'ask-one-deployment-when-in-doubt': {
    invariant: 'one-billed-send',
    file: FAILURES,
    find: "ambiguous: { marks: 'attempt', askAgain: false, askElsewhere: false }",
    replace: "ambiguous: { marks: 'attempt', askAgain: false, askElsewhere: true }",
  },
  'max-attempts': {
    invariant: 'attempts-bounded',
    file: FAILURES,
    find: "return isTimeout || counted + 1 >= policy.maxAttempts ? 'max_attempts' : undefined",
    replace: "return isTimeout && counted < 0 ? 'max_attempts' : undefined",
  },
  'repeat-what-follows': {
    invariant: 'published-at-least-once',
    file: RUN_JOB,
    find: "return followUp(dependencies.settle, context, claim.record, 'repeated')",
    replace: "return { done: true, as: 'repeated', logFields }",
  },
  'event-before-letter': {
    invariant: 'published-at-least-once',
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
    invariant: 'published-at-least-once',
    file: 'worker/dead-letters/record.ts',
    find: 'const ended = found === undefined ? timeOverUnseen(job, error, at) : unsettled && timeOver(unsettled, error, at)',
    replace: 'const ended = unsettled && (timeOverUnseen(job, error, at), timeOver(unsettled, error, at))',
  },
  'publish-what-was-given-up': {
    invariant: 'published-at-least-once',
    file: 'worker/dead-letters/record.ts',
    find: 'if (ended !== undefined) await recording.announce(ended)',
    replace: '',
  },
  'sweep-grace': {
    invariant: 'live-lease',
    file: CLAIM,
    find: 'const SWEEP_GRACE_MS = 60_000',
    replace: 'const SWEEP_GRACE_MS = 0',
  },
  'publish-before-complete': {
    invariant: 'batch-completes',
    file: 'worker/sweep/sweep-batches.ts',
    find: '  const announced = await course.attempt(',
    replace: '  await batches.end(name, ending)\n  const announced = await course.attempt(',
  },
}

/** The rules that `--break` knows, each with the changes that break it. docs/reliability.md says what each is for. */
export const rules: Readonly<Record<string, Rule>> = {
  ...Object.fromEntries(
    Object.entries(single).map(([name, { invariant, ...patch }]) => [name, { invariant, patches: [patch] }]),
  ),
  ...outageRules,
}

import type { Rule } from './rules.ts'

const CLAIM = 'shared/job/claim.ts'
const FAILURES = 'shared/job/failures.ts'
const PROCESS_JOB = 'worker/jobs/process-job.ts'
const RUN_JOB = 'worker/jobs/run-job.ts'

/** The rules about outages, waits and time limits that can be broken. */
export const outageRules: Readonly<Record<string, Rule>> = {
  'unavailable-is-folded': {
    invariant: 'outage-kills-none',
    patches: [
      {
        file: FAILURES,
        find: "unavailable: { marks: 'folded',",
        replace: "unavailable: { marks: 'attempt',",
      },
      {
        file: FAILURES,
        find: "return policy.onUnknown === 'dead-letter' && !NOT_WORKED_ON.includes(failure.httpStatus) ? 'unknown' : undefined",
        replace: "return counted + 1 >= policy.maxAttempts ? 'max_attempts' : undefined",
      },
    ],
  },
  'wait-respected': {
    invariant: 'waits',
    patches: [
      {
        file: CLAIM,
        find: "return retryInMs > 0 ? { kind: 'waits', waiting, retryInMs } : { kind: 'next_attempt', waiting }",
        replace: "return retryInMs === -1 ? { kind: 'waits', waiting, retryInMs } : { kind: 'next_attempt', waiting }",
      },
    ],
  },
  'wait-for-one-deployment': {
    invariant: 'waits',
    patches: [{ file: RUN_JOB, find: 'plan.seat.avoid(claim.held.record.waitsFor ?? [])', replace: '' }],
  },
  'answer-over-swept-record': {
    invariant: 'paid-answer-kept',
    patches: [
      {
        file: CLAIM,
        find: "if (found.status !== 'waiting' || !isLastAttempt) return 'not_ours'",
        replace: "if (found.status !== 'running' || !isLastAttempt) return 'not_ours'",
      },
    ],
  },
  'whole-model-time': {
    invariant: 'whole-model-time',
    patches: [
      {
        file: RUN_JOB,
        find: "const neededMs = plan.kind === 'ask' ? modelTimeoutMs : 1",
        replace: 'const neededMs = 1',
      },
      {
        file: RUN_JOB,
        find: '    deadline - modelTimeoutMs,\n',
        replace: '',
      },
    ],
  },
  'deadline-after-admission': {
    invariant: 'no-start-after-deadline',
    patches: [
      {
        file: PROCESS_JOB,
        find: 'const still = await planNow()',
        replace: 'const still = plan as Awaited<ReturnType<typeof planNow>>',
      },
      {
        file: RUN_JOB,
        find: '(job.deadline ?? Infinity)',
        replace: 'Infinity',
      },
    ],
  },
  'timeout-twice': {
    invariant: 'timeouts-bounded',
    patches: [{ file: FAILURES, find: 'const MAX_TIMEOUTS = 2', replace: 'const MAX_TIMEOUTS = 100' }],
  },
  'one-bad-resource': {
    invariant: 'good-resource-flows',
    patches: [
      {
        file: 'shared/identity/renewal.ts',
        find: 'return isAccepted || refusals >= REFUSALS_IN_A_ROW ? { ...state, verdicts } : { ...rest, verdicts }',
        replace: 'return isAccepted && refusals < 0 ? { ...state, verdicts } : { ...rest, verdicts }',
      },
    ],
  },
  'missing-after-ten-minutes': {
    invariant: 'missing-waits',
    patches: [
      {
        file: FAILURES,
        find: 'const MISSING_ENDS_AFTER_MS = 600_000',
        replace: 'const MISSING_ENDS_AFTER_MS = 0',
      },
    ],
  },
  'one-slow-batch': {
    invariant: 'slow-batch-stops-none',
    patches: [
      {
        file: 'worker/sweep/sweep-batches.ts',
        find: 'const BATCHES_AT_ONCE = 8',
        replace: 'const BATCHES_AT_ONCE = 1',
      },
      {
        file: 'worker/sweep/sweep-batches.ts',
        find: '  const deferred = await course.attempt(about, () => batches.defer(batch.name, now()))',
        replace:
          "  if (swept.kind === 'deferred') throw swept.error\n  const deferred = await course.attempt(about, () => batches.defer(batch.name, now()))",
      },
    ],
  },
  'unreadable-is-healthy': {
    invariant: 'unreadable-ends-by-age',
    patches: [
      {
        file: 'worker/dead-letters/record.ts',
        find: "const found = stored === 'unreadable' ? undefined : stored",
        replace:
          "if (String(stored) === 'unreadable') return recordAs(recording, delivery, { kind: 'store', message: '' }, job)\n  const found = stored === 'unreadable' ? undefined : stored",
      },
    ],
  },
}

import type { TokenObserver, WaitUntil } from '../../shared/identity/access-token-source.ts'
import { isSetUpFault } from '../../shared/models/circuit.ts'
import type { CircuitObserver } from '../../shared/models/circuits.ts'
import type { Delivery } from '../delivery/delivery.ts'
import type { LogFields, Outcome } from '../delivery/outcome.ts'
import { createHeartbeat, type HeartbeatDependencies } from './heartbeat.ts'
import { traceFields } from './log.ts'
import { createFailureTelemetry, type TelemetryDependencies } from './token-telemetry.ts'

/** A push that authentication refused. Claims, and never a token. */
interface RefusedPush {
  readonly status: number
  readonly problem: string
  readonly expected: object
  readonly seen: object
}

/** Sees what happens in a worker. No method rejects or throws; the promises of its parts are background work. */
export interface Observer {
  /** A push arrived. What is written because of it becomes background work of the push. */
  pushed(waitUntil: WaitUntil): void
  pushRefused(refused: RefusedPush): void
  /** A push ended before its body was complete. */
  pushBroken(): void
  /** A delivery has its outcome. `delivery`: undefined if its body was not read. */
  ended(outcome: Outcome, delivery?: Delivery): void
  /** The model answered, and another claim had taken the job over. */
  answerDropped(fields: LogFields): void
  notReady(error: unknown): void
  sweepFailed(error: unknown): void
  internalError(error: unknown): void
  /** A message of the SQLite file could not be leased or settled. */
  queueUnavailable(error: unknown): void
  readonly circuits: CircuitObserver
  readonly tokens: TokenObserver
}

interface ObserverDependencies
  extends Omit<HeartbeatDependencies, 'flush' | 'store'>,
    Pick<TelemetryDependencies, 'ttlMs' | 'newId'> {
  readonly store: HeartbeatDependencies['store'] & TelemetryDependencies['store']
  readonly project: string | undefined
}

/** Observes a worker by its log, its heartbeat and its telemetry of token failures. */
export function createObserver(dependencies: ObserverDependencies): Observer {
  const { log, project, tokens, now } = dependencies
  const telemetry = createFailureTelemetry(dependencies)
  const heartbeat = createHeartbeat({ ...dependencies, flush: telemetry.flush })

  return {
    pushed: heartbeat.pushed,
    pushRefused({ status: httpStatus, problem, expected, seen }) {
      heartbeat.refusedPush()
      log.warn({ outcome: 'refused_push', httpStatus, problem, expected, seen }, 'a push was refused')
    },
    pushBroken() {
      log.info({ outcome: 'broken_push' }, 'a push ended before its body was complete')
    },
    ended(outcome, delivery) {
      const fields = { ...(delivery && fieldsOf(delivery, project, now())), ...outcome.logFields }
      if (outcome.done) {
        const level = outcome.why === undefined ? 'info' : 'warn'
        log[level]({ ...fields, outcome: outcome.as, why: outcome.why }, `job ${outcome.as}`)
      } else {
        const { kind, code, message, hint, limit, httpStatus, requestId } = outcome.failure
        const why = { reason: kind, limit, code, problem: message, hint, httpStatus, requestId }
        log.warn({ ...fields, outcome: 'retry', ...why }, `job deferred: ${kind}`)
      }
      heartbeat.answered(outcome)
    },
    answerDropped(fields) {
      log.warn(fields, 'another claim took the job over: this answer is dropped')
    },
    notReady(error) {
      log.warn({ error }, 'not ready: the store cannot be read')
    },
    sweepFailed(error) {
      const message = 'the sweep stops here: the store is unavailable. The next sweep continues.'
      log.warn({ outcome: 'sweep_failed', error }, message)
    },
    internalError(error) {
      log.error({ error }, 'internal error; the message will be redelivered')
    },
    queueUnavailable(error) {
      log.warn({ error }, 'the queue file is busy or cannot be used; its messages are delivered later')
    },
    circuits: {
      async opened(deployment, failure, nextTryAt) {
        const { kind: reason, message: problem, hint } = failure
        const fields = { deployment, reason, problem, hint, nextTryAt }
        log.warn({ outcome: 'circuit_opened', ...fields }, `circuit opened: ${deployment}`)
        if (isSetUpFault(reason)) await telemetry.denied(deployment, failure, nextTryAt, tokens.status().validForMs)
      },
      async closed(deployment) {
        log.info({ outcome: 'circuit_closed', deployment }, `circuit closed: ${deployment}`)
        await telemetry.accessRestored(deployment)
      },
    },
    tokens: telemetry,
  }
}

function fieldsOf(
  { messageId, deliveryAttempt, traceparent, arrivedAt }: Delivery,
  project: string | undefined,
  now: number,
) {
  return { messageId, deliveryAttempt, durationMs: now - arrivedAt, ...traceFields(traceparent, project) }
}

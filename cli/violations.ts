/*
 * What must hold for every job, whatever failed: a run is paid once, a message is acknowledged after its end is durable, and
 * every message ends. The demo, the simulation and the chaos runs gather the evidence and report in their own words.
 */

/** A run with more sends than its record accounts for. */
export interface PaidTwice {
  readonly key: string
  /** KEY.RUN */
  readonly run: string
  readonly sends: number
  /** How many of them the record counts as attempts of unknown outcome. */
  readonly unknown: number
}

/**
 * Finds each run that may have been paid more than once: one send, and one more for each attempt of unknown outcome.
 *
 * `requestIds`: of the sends that were billed or may have been, as the model's log has them: KEY.RUN.ATTEMPT.
 */
export function findPaidTwice(
  requestIds: readonly string[],
  unknownIn: (key: string, run: number) => number,
): readonly PaidTwice[] {
  return [...Map.groupBy(requestIds, runOf)].flatMap(([run, { length: sends }]) => {
    const [key = '', n] = run.split('.')
    const unknown = unknownIn(key, Number(n))
    return sends > 1 + unknown ? [{ key, run, sends, unknown }] : []
  })
}

/** Finds each attempt that was sent more than once, with the number of its sends. */
export function findSentTwice(requestIds: readonly string[]): readonly (readonly [requestId: string, sends: number])[] {
  const attempts = Map.groupBy(requestIds, (requestId) => requestId)
  return [...attempts].map(([requestId, { length }]) => [requestId, length] as const).filter(([, sends]) => sends > 1)
}

/** KEY.RUN of a request to the model. */
export function runOf(requestId: string): string {
  return requestId.split('.', 2).join('.')
}

/** One message of a job, as the queue and the store have it. */
export interface SeenMessage {
  readonly isAcknowledged: boolean
  /** Its job's record is settled, or a dead letter keeps it. */
  readonly hasEnded: boolean
}

/**
 * - acknowledged_before_end: it is lost if the worker stops now
 * - never_acknowledged: it is redelivered until it is too old
 * - never_ended: neither a record nor a dead letter says how its job ended
 */
export type MessageViolation = 'acknowledged_before_end' | 'never_acknowledged' | 'never_ended'

/** Finds what is wrong with a message now, and at the end, when nothing is delivered any more. */
export function messageViolations({ isAcknowledged, hasEnded }: SeenMessage): readonly MessageViolation[] {
  return [
    ...(isAcknowledged && !hasEnded ? (['acknowledged_before_end'] as const) : []),
    ...(isAcknowledged ? [] : (['never_acknowledged'] as const)),
    ...(hasEnded ? [] : (['never_ended'] as const)),
  ]
}

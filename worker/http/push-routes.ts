import { type DeadLetterRecording, recordDeadLetter } from '../dead-letters/record.ts'
import type { BytesInFlight, Reservation } from '../delivery/bytes-in-flight.ts'
import type { ParsedDelivery } from '../delivery/delivery.ts'
import type { Drain } from '../delivery/drain.ts'
import type { Receiver } from '../jobs/receive.ts'
import { observeDelivery } from '../observe/observe-delivery.ts'
import type { Observer } from '../observe/observer.ts'
import type { PushAuthenticator } from './authenticate.ts'
import type { PushRequest } from './push-request.ts'
import { MAX_PUSH_BYTES, type ReadDependencies, type RejectedPush, readPush } from './read-push.ts'

export interface PushDependencies extends ReadDependencies {
  readonly authenticate: PushAuthenticator
  readonly receiver: Receiver
  readonly recording: DeadLetterRecording
  readonly bytes: BytesInFlight
  readonly drain: Drain
  readonly observer: Observer
}

/** The response to a push. It has no body if `json` is undefined. */
export interface PushAnswer {
  readonly status: 204 | 400 | 401 | 403 | 413 | 500 | 503
  readonly json?: object
}

/** Answers one push. Never rejects. */
export type PushRoute = (request: PushRequest) => Promise<PushAnswer>

type Receive = Receiver['receive']

const NO_ROOM = { kind: 'busy', message: 'this instance holds MAX_IN_FLIGHT_BYTES of pushes' } as const

/**
 * Creates the routes of deliveries by their paths: `/push`, and `/dead-letter` for the dead-letter topic. They answer 204 to
 * acknowledge a message and 503 to have it redelivered. Pub/Sub also redelivers after each of the other answers.
 */
export function createPushRoutes(dependencies: PushDependencies): ReadonlyMap<string | undefined, PushRoute> {
  const { authenticate, receiver, recording, drain, observer } = dependencies

  async function process(read: ParsedDelivery, room: Reservation, receive: Receive): Promise<PushAnswer> {
    const { outcome, background } = await observeDelivery(observer, read, (waitUntil) => receive(read, waitUntil, room))
    await background.done(drain.begun)
    return outcome.done ? { status: 204 } : { status: 503, json: { reason: outcome.failure.kind } }
  }

  // Reserves room only for an authenticated push: any other caller could use it all up.
  async function answer(request: PushRequest, receive: Receive): Promise<PushAnswer> {
    const check = await authenticate(request.headers)
    if (!check.ok) {
      observer.pushRefused(check)
      return { status: check.status, json: { error: check.problem } }
    }
    const answer = await readPush(request, dependencies, (read, room) => process(read, room, receive))
    return typeof answer === 'string' ? refuse(observer, answer) : answer
  }

  const routeTo = (receive: Receive): PushRoute => {
    return (request) =>
      answer(request, receive).catch((error: unknown) => {
        observer.internalError(error)
        return { status: 500, json: { error: 'internal error' } }
      })
  }
  return new Map([
    ['/push', routeTo(receiver.receive)],
    ['/dead-letter', routeTo((read) => recordDeadLetter(recording, read))],
  ])
}

/** Answers a push whose body was not read completely. */
function refuse(observer: Observer, why: RejectedPush): PushAnswer {
  switch (why) {
    case 'busy':
      observer.ended({ done: false, failure: NO_ROOM, logFields: {} })
      return { status: 503, json: { reason: why } }
    case 'too_large':
      return { status: 413, json: { error: `a push has at most ${MAX_PUSH_BYTES} bytes` } }
    case 'broken':
      observer.pushBroken()
      return { status: 400, json: { error: 'the push ended before its body was complete' } }
  }
}

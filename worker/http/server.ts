import { type Context, Hono, type MiddlewareHandler } from 'hono'
import type { Clock } from '../../shared/lib/clock.ts'
import { type DeadLetterRecording, recordDeadLetter } from '../dead-letters/record.ts'
import type { BytesInFlight, Reservation } from '../delivery/bytes-in-flight.ts'
import type { ParsedDelivery } from '../delivery/delivery.ts'
import type { Drain } from '../delivery/drain.ts'
import { storeFailure } from '../delivery/failures.ts'
import type { Receiver } from '../jobs/receive.ts'
import { observeDelivery } from '../observe/observe-delivery.ts'
import type { Observer } from '../observe/observer.ts'
import type { Sweep } from '../sweep/sweep.ts'
import type { PushAuthenticator } from './authenticate.ts'
import { MAX_PUSH_BYTES, type RejectedPush, readPush } from './read-push.ts'

export interface ServerDependencies {
  readonly authenticate: PushAuthenticator
  readonly receiver: Receiver
  readonly recording: DeadLetterRecording
  readonly bytes: BytesInFlight
  readonly sweep: Sweep
  readonly drain: Drain
  readonly observer: Observer
  /** Rejects if the records cannot be read. */
  readonly checkStore: () => Promise<unknown>
  readonly now: Clock
}

type Receive = Receiver['receive']

const NO_ROOM = { kind: 'busy', message: 'this instance holds MAX_IN_FLIGHT_BYTES of pushes' } as const

/**
 * Creates the worker's routes. `/push`, and `/dead-letter` for the dead-letter topic, answer 204 to acknowledge a message
 * and 503 to have it redelivered. Pub/Sub also redelivers after each of the other answers (400, 401, 403, 413, 500). `/sweep`
 * is for Cloud Scheduler.
 */
export function createServer(dependencies: ServerDependencies): Hono {
  const { authenticate, receiver, recording, sweep, drain, observer, checkStore } = dependencies
  const app = new Hono()

  // A keep-alive connection would keep the process from ending until it is killed.
  app.use(async (context, next) => {
    await next()
    if (drain.begun.aborted) context.header('connection', 'close')
  })

  app.get('/healthz', (context) => context.json({ status: 'ok' }))

  app.get('/readyz', async (context) => {
    if (drain.begun.aborted) return context.json({ status: 'draining' }, 503)
    try {
      await checkStore()
      return context.json({ status: 'ready' })
    } catch (error) {
      observer.notReady(error)
      return context.json({ status: 'the store cannot be read' }, 503)
    }
  })

  const checkPush: MiddlewareHandler = async (context, next) => {
    const check = await authenticate(context.req.raw.headers)
    if (check.ok) return next()
    observer.pushRefused(check)
    return context.json({ error: check.problem }, check.status)
  }

  async function answerPush(
    context: Context,
    read: ParsedDelivery,
    room: Reservation,
    receive: Receive,
  ): Promise<Response> {
    const { outcome, background } = await observeDelivery(observer, read, (waitUntil) => receive(read, waitUntil, room))
    await background.done(drain.begun)
    return outcome.done ? context.body(null, 204) : context.json({ reason: outcome.failure.kind }, 503)
  }

  // Reserves room only for an authenticated push: any other caller could use it all up.
  const take = (receive: Receive) => async (context: Context) => {
    const answer = await readPush(context.req.raw, dependencies, (read, room) =>
      answerPush(context, read, room, receive),
    )
    return typeof answer === 'string' ? refuse(dependencies, context, answer) : answer
  }

  app.use('/push', checkPush)
  app.post('/push', take(receiver.receive))
  app.use('/dead-letter', checkPush)
  app.post(
    '/dead-letter',
    take((read) => recordDeadLetter(recording, read)),
  )

  // The body is ignored: authentication is the only check.
  app.use('/sweep', checkPush)
  app.post('/sweep', async (context) => {
    if (drain.begun.aborted) return context.json({ reason: 'draining' }, 503)
    try {
      return context.json(await sweep())
    } catch (error) {
      const failure = storeFailure(error)
      if (failure === undefined) throw error
      observer.sweepFailed(error)
      return context.json({ reason: failure.kind }, 503)
    }
  })

  app.onError((error, context) => {
    observer.internalError(error)
    return context.json({ error: 'internal error' }, 500)
  })
  return app
}

/** Answers a push whose body was not read completely. The server discards the rest of it. */
function refuse({ observer }: ServerDependencies, context: Context, why: RejectedPush): Response {
  switch (why) {
    case 'busy':
      observer.ended({ done: false, failure: NO_ROOM, logFields: {} })
      return context.json({ reason: why }, 503)
    case 'too_large':
      return context.json({ error: `a push has at most ${MAX_PUSH_BYTES} bytes` }, 413)
    case 'broken':
      observer.pushBroken()
      return context.json({ error: 'the push ended before its body was complete' }, 400)
  }
}

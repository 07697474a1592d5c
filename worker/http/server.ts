import { Hono } from 'hono'
import type { Drain } from '../delivery/drain.ts'
import { storeFailure } from '../delivery/failures.ts'
import type { Observer } from '../observe/observer.ts'
import type { Sweep } from '../sweep/sweep.ts'
import type { PushAuthenticator } from './authenticate.ts'

export interface ServerDependencies {
  readonly authenticate: PushAuthenticator
  readonly sweep: Sweep
  readonly drain: Drain
  readonly observer: Observer
  /** Rejects if the records cannot be read. */
  readonly checkStore: () => Promise<unknown>
}

/** Creates the worker's routes besides those of pushes. `/sweep` is for Cloud Scheduler. */
export function createServer({ authenticate, sweep, drain, observer, checkStore }: ServerDependencies): Hono {
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

  // The body is ignored: authentication is the only check.
  app.post('/sweep', async (context) => {
    const check = await authenticate(context.req.raw.headers)
    if (!check.ok) {
      observer.pushRefused(check)
      return context.json({ error: check.problem }, check.status)
    }
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

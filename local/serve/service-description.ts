import type { HttpBindings } from '@hono/node-server'
import type { Hono } from 'hono'
import type { CallDetail } from '../call-log.ts'
import type { Certificate } from '../certificate.ts'

export interface StandInEnv {
  Bindings: HttpBindings
  Variables: {
    /** Set by a route: what the log is to say of this call. */
    detail: CallDetail
  }
}

/** What one service tells the common server about itself. */
export interface ServiceDescription {
  readonly service: string
  readonly certificate?: Certificate
  /** The name a call has in the log, by its path. */
  operationOf(path: string): string
  /** What the log says of a call before its route has said more. */
  describe?(headers: Headers): CallDetail
  /** Paths that only a fault naming them meets. */
  isAside?(path: string): boolean
  /** The real service's error answers, which a fault can ask for by name. */
  readonly errors: Readonly<Record<string, (headers: Headers) => Response>>
  /** Adds the routes. `closing` is aborted when the stand-in closes. */
  route(app: Hono<StandInEnv>, closing: AbortSignal): void
}

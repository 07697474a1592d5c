import type { HttpBindings } from '@hono/node-server'
import type { Hono } from 'hono'
import type { CallDetail } from '../call-log.ts'
import type { Certificate } from '../certificate.ts'

export interface StandInEnv {
  Bindings: HttpBindings
  Variables: {
    /** Set by a route: the details of this call for the log. */
    detail: CallDetail
  }
}

/** The description of one service for the common server. */
export interface ServiceDescription {
  readonly service: string
  readonly certificate?: Certificate
  /** The name of a call in the log, by its path. */
  operationOf(path: string): string
  /** The details of a call for the log, before its route adds more. */
  describe?(headers: Headers): CallDetail
  /** Paths that only a fault that names them affects. */
  isAside?(path: string): boolean
  /** Error answers of the real service, which a fault can name. */
  readonly errors: Readonly<Record<string, (headers: Headers) => Response>>
  /** Adds the routes. `closing` is aborted when the stand-in closes. */
  route(app: Hono<StandInEnv>, closing: AbortSignal): void
}

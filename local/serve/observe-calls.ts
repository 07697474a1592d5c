import type { Context, MiddlewareHandler } from 'hono'
import type { CallLog } from '../call-log.ts'
import type { Dependencies } from '../dependencies.ts'
import { type Fault, faultName, isServedFirst } from '../faults.ts'
import type { FaultBook } from './fault-book.ts'
import { inflict } from './inflict.ts'
import type { ServiceDescription, StandInEnv } from './service-description.ts'

export interface Observation {
  readonly description: ServiceDescription
  readonly faults: FaultBook
  readonly log: CallLog
  readonly dependencies: Dependencies
  readonly closing: AbortSignal
}

/** Applies the active faults to each call, and records the call before the first byte of its answer is sent. */
export function observeCalls(to: Observation): MiddlewareHandler<StandInEnv> {
  return async (c, next) => {
    const at = to.dependencies.now()
    c.set('detail', to.description.describe?.(c.req.raw.headers) ?? {})
    // Reads the whole request first. Otherwise the caller may see a reset instead of the answer.
    await c.req.arrayBuffer()
    const fault = to.faults.meet({
      path: c.req.path,
      clientRequestId: c.req.header('x-ms-client-request-id') ?? c.req.header('client-request-id'),
      aside: to.description.isAside?.(c.req.path) ?? false,
    })
    if (fault?.kind === 'delay' && !isServedFirst(fault)) await to.dependencies.wait(fault.ms, to.closing)
    if (fault === undefined || fault.kind === 'delay' || isServedFirst(fault)) await next()
    if (to.closing.aborted) return
    const answer = fault === undefined ? c.res : await answerOf(fault, c, to.description)
    await to.log.record({
      at,
      service: to.description.service,
      operation: to.description.operationOf(c.req.path),
      status: answer?.status ?? null,
      durationMs: to.dependencies.now() - at,
      detail: fault === undefined ? c.get('detail') : { ...c.get('detail'), fault: faultName(fault) },
    })
    if (fault === undefined) return
    if (fault.kind === 'delay' && isServedFirst(fault)) await to.dependencies.wait(fault.ms, to.closing)
    const sent = await inflict(fault, answer, c.env)
    // Hono adds the headers of the old response to a new one, so the old one is removed first.
    c.res = undefined
    c.res = sent
  }
}

/** The response to the caller; undefined: none. */
async function answerOf(
  fault: Fault,
  c: Context<StandInEnv>,
  description: ServiceDescription,
): Promise<Response | undefined> {
  if (fault.kind === 'odd') return leaveOut(fault.without, c.res)
  if (fault.kind === 'status') return statusAnswer(fault, c, description)
  if (fault.kind === 'garbage') return new Response(GATEWAY_PAGE, { headers: { 'content-type': 'text/html' } })
  if (fault.kind === 'hang' || (fault.kind === 'reset' && fault.after === 'request')) return undefined
  return c.res
}

async function leaveOut(names: readonly string[], answer: Response): Promise<Response> {
  const body: unknown = JSON.parse(await answer.text(), (name, value) => (names.includes(name) ? undefined : value))
  const headers = new Headers(answer.headers)
  headers.delete('content-length')
  return Response.json(body, { status: answer.status, headers })
}

function statusAnswer(
  fault: Extract<Fault, { kind: 'status' }>,
  c: Context<StandInEnv>,
  description: ServiceDescription,
): Response {
  const named = fault.error === undefined ? undefined : description.errors[fault.error]?.(c.req.raw.headers)
  const answer = named ?? Response.json(fault.body ?? null, { status: fault.status ?? 500 })
  for (const [name, value] of Object.entries(fault.headers ?? {})) answer.headers.set(name, value)
  return answer
}

/** A page that a proxy may return with 200 instead of the answer. */
const GATEWAY_PAGE =
  '<!doctype html><html><head><title>Please sign in</title></head><body>Sign in to go on.</body></html>'

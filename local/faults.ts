import { z } from 'zod'

/** Which calls a fault applies to, how often, and whether the work is done first. */
const aim = {
  /** Shown in the call log; what the fault does, when absent. */
  name: z.string().min(1).max(100).optional(),
  /** A part of the path. */
  match: z.string().min(1).optional(),
  /** How the caller's client-request-id begins. */
  job: z.string().min(1).optional(),
  /** How many calls it affects; until cleared when absent. */
  times: z.int().positive().optional(),
  /** Affects only each n-th matching call. */
  every: z.int().positive().optional(),
  /** The work is done and charged before the fault, so that only the answer is lost. */
  billed: z.boolean().optional(),
}

const statusFault = z
  .strictObject({
    kind: z.literal('status'),
    ...aim,
    status: z.int().min(400).max(599).optional(),
    error: z.string().min(1).optional(),
    headers: z.record(z.string(), z.string()).optional(),
    body: z.json().optional(),
  })
  .refine((fault) => (fault.status === undefined) !== (fault.error === undefined), {
    error: 'give either status (a number) or error (the name of a fixture)',
  })

const resetFault = z
  .strictObject({
    kind: z.literal('reset'),
    ...aim,
    after: z.enum(['request', 'headers', 'half-body']).default('request'),
  })
  .refine((fault) => fault.after === 'request' || fault.billed !== false, {
    error: 'billed cannot be false after headers or half-body: the work for such an answer is done',
  })

export const faultSchema = z.discriminatedUnion('kind', [
  statusFault,
  resetFault,
  z.strictObject({ kind: z.literal('hang'), ...aim }),
  z.strictObject({ kind: z.literal('garbage'), ...aim }),
  /** A complete, paid answer without the fields of these names. */
  z.strictObject({ kind: z.literal('odd'), ...aim, without: z.array(z.string().min(1)).min(1) }),
  z.strictObject({ kind: z.literal('delay'), ...aim, ms: z.int().positive().max(3_600_000) }),
])

export type Fault = z.output<typeof faultSchema>

/** The properties of a call that a fault can match. */
export interface Target {
  readonly path: string
  readonly clientRequestId: string | undefined
  /** Side requests, such as published keys. Only a fault that names the path affects them, so that they do not use up "the next 3". */
  readonly aside: boolean
}

/** An active fault, with the number of calls that matched and that it affected. */
export interface Placed {
  readonly fault: Fault
  readonly met: number
  readonly struck: number
}

/**
 * Decides which fault affects a call: the first one placed that matches and is due.
 *
 * Later faults do not count the call.
 */
export function meetFaults(placed: readonly Placed[], target: Target): { left: readonly Placed[]; hit?: Fault } {
  const index = placed.findIndex((entry) => concerns(entry.fault, target) && isItsTurn(entry))
  const left = placed.flatMap((entry, at) => {
    if ((index !== -1 && at > index) || !concerns(entry.fault, target)) return [entry]
    const after = { ...entry, met: entry.met + 1, struck: entry.struck + (at === index ? 1 : 0) }
    return after.struck === entry.fault.times ? [] : [after]
  })
  const hit = placed[index]?.fault
  return hit === undefined ? { left } : { left, hit }
}

function concerns(fault: Fault, target: Target): boolean {
  if (fault.match === undefined ? target.aside : !target.path.includes(fault.match)) return false
  return fault.job === undefined || (target.clientRequestId?.startsWith(fault.job) ?? false)
}

function isItsTurn(entry: Placed): boolean {
  return (entry.met + 1) % (entry.fault.every ?? 1) === 0
}

/** Whether the call is processed as usual before its answer is lost. */
export function isServedFirst(fault: Fault): boolean {
  return fault.billed === true || fault.kind === 'odd' || (fault.kind === 'reset' && fault.after !== 'request')
}

export function faultName(fault: Fault): string {
  if (fault.name !== undefined) return fault.name
  if (fault.kind === 'status') return fault.error ?? `status ${fault.status}`
  return fault.kind === 'reset' ? `reset after ${fault.after}` : fault.kind
}

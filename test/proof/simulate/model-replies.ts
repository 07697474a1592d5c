import type { Failure } from '../../../shared/job/failures.ts'
import type { ModelReply, ModelRequest } from '../../../shared/models/provider.ts'
import { MAX_RESULT_BYTES } from '../../../shared/stores/result-parts.ts'
import type { Random } from '../support/seeded-random.ts'
import type { Situation } from './exercised.ts'
import type { WindowKind } from './model-windows.ts'

/** What the model does with a send. */
export type Behaviour =
  | WindowKind
  | 'answer'
  | 'answer without usage'
  | 'answer nothing'
  | 'filter'
  | 'fail unbilled'
  | 'fail billed'
  | 'unreachable'

/** How a send ends, and what it costs. */
export interface ModelAct {
  readonly behaviour: Behaviour
  /** It was billed, or may have been. */
  readonly isBillable: boolean
  readonly situation?: Situation
  /** Undefined: it never answers. */
  readonly reply: ModelReply | undefined
}

const USAGE = { promptTokens: 100, completionTokens: 50 }
/** The model rejects every job with this text for good. */
export const REJECT = 'reject this'
/** The model answers a job with this text with more than fits into its record. */
export const ANSWER_AT_LENGTH = 'answer at length'
const LONG_TEXT = 'x'.repeat(MAX_RESULT_BYTES)

/** These may have been billed. The others were certainly not billed. */
const MAYBE_BILLED = [500, 502, 504]
const UNAVAILABLE = [500, 502, 503, 504, 529, 409]
/** In milliseconds: 0 for none, what a job waits for, and more than a record may wait. */
const LONGEST_RETRY_AFTER_MS = [0, 5_000, 30_000, 3_600_000]

const ODD_ANSWERS = ['answer without usage', 'answer nothing', 'filter'] as const
const FAULTS = [
  ...(['refuse token', 'fail unbilled', 'fail billed', 'unreachable', 'silent'] as const),
  ...(['unavailable', 'throttled', 'missing', 'denied', 'redirected'] as const),
]

/** `isFaulty`: it does other than answer. */
export function drawBehaviour(random: Random, isFaulty: boolean): Behaviour {
  if (isFaulty) return random.pick(FAULTS)
  return random.chance(0.1) ? random.pick(ODD_ANSWERS) : 'answer'
}

/** What becomes of one request under a behaviour. */
export function act(random: Random, request: ModelRequest, behaviour: Behaviour): ModelAct {
  const { clientRequestId: requestId } = request
  const unbilled = (failure: Failure, situation?: Situation) => ended(behaviour, false, failed(failure), situation)
  switch (behaviour) {
    case 'answer':
    case 'answer without usage':
    case 'answer nothing':
    case 'filter':
      return answer(request, behaviour)
    case 'throttled': {
      const failure = { kind: 'throttled', message: 'throttled', httpStatus: 429, fromService: true } as const
      return unbilled({ ...failure, retryAfterMs: random.whole(0, random.pick([5_000, 60_000])) }, 'throttled call')
    }
    case 'unavailable':
      return unavailable(random)
    case 'refuse token':
      return unbilled({ kind: 'unauthorized', message: 'the token is refused', httpStatus: 401 }, 'refused token')
    case 'missing':
      return unbilled({ kind: 'no_deployment', message: 'no such deployment', httpStatus: 404 }, 'missing deployment')
    case 'denied':
      return unbilled({ kind: 'forbidden', message: 'the caller is denied', httpStatus: 403 }, 'denied call')
    case 'redirected':
      return unbilled({ kind: 'forbidden', message: 'redirected', httpStatus: 307 }, 'redirected call')
    case 'unreachable':
      return unbilled({ kind: 'unreachable', message: 'connection refused' })
    case 'silent':
      return { behaviour, isBillable: true, situation: 'unanswered call', reply: undefined }
    case 'fail billed':
    case 'fail unbilled': {
      const failure = { kind: 'ambiguous', message: 'the answer broke off', requestId } as const
      return ended(behaviour, behaviour === 'fail billed', failed(failure), 'ambiguous call')
    }
  }
}

function unavailable(random: Random): ModelAct {
  const httpStatus = random.pick(UNAVAILABLE)
  const longestMs = random.pick(LONGEST_RETRY_AFTER_MS)
  const wait = longestMs === 0 ? {} : { retryAfterMs: random.whole(0, longestMs) }
  const isBillable = MAYBE_BILLED.includes(httpStatus) && random.chance(0.3)
  const situation = longestMs === 0 ? 'unavailable, with no time to wait' : 'unavailable, with a time to wait'
  const failure = { kind: 'unavailable', message: 'unavailable', httpStatus, ...wait } as const
  return ended('unavailable', isBillable, failed(failure), situation)
}

function answer(request: ModelRequest, behaviour: Behaviour): ModelAct {
  const { clientRequestId: requestId } = request
  const details = { httpStatus: 200, requestId } as const
  if (says(request, REJECT)) {
    const failure = { kind: 'rejected', message: 'rejected', httpStatus: 400, requestId, fromService: true } as const
    return ended(behaviour, false, failed(failure))
  }
  if (behaviour === 'filter') {
    const failure = { kind: 'rejected', code: 'content_filter', message: 'filtered', usage: USAGE, ...details } as const
    return ended(behaviour, true, failed(failure), 'paid rejection')
  }
  const isEmpty = behaviour === 'answer nothing'
  const content = isEmpty ? '' : says(request, ANSWER_AT_LENGTH) ? LONG_TEXT : requestId
  const text = JSON.stringify({ choices: [{ message: { content } }] })
  if (behaviour === 'answer without usage') {
    const reply = { ok: true, text, usage: undefined, finishReason: 'unknown', ...details } as const
    return ended(behaviour, true, reply, 'answer without usage')
  }
  const reply = { ok: true, text, usage: USAGE, finishReason: 'stop', ...details } as const
  return ended(behaviour, true, reply, ...(isEmpty ? (['empty answer'] as const) : []))
}

function says({ job }: ModelRequest, text: string): boolean {
  return JSON.stringify(job.body).includes(text)
}

function ended(behaviour: Behaviour, isBillable: boolean, reply: ModelReply, situation?: Situation): ModelAct {
  return { behaviour, isBillable, reply, ...(situation && { situation }) }
}

function failed(failure: Failure): ModelReply {
  return { ok: false, failure }
}

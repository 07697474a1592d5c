import type { ModelProvider, ModelReply, ModelRequest } from '../../shared/azure-openai/model-provider.ts'
import type { Failure } from '../../shared/job/failures.ts'
import { MAX_RESULT_BYTES } from '../../shared/store/result-parts.ts'
import { count } from './exercised.ts'
import { ratesAt } from './faults.ts'
import type { Wire, WireParts } from './wire.ts'
import type { Process } from './world.ts'

/** A send that the model took in. */
export interface ModelCall {
  /** `key.run.attempt`, as its sender names it. */
  readonly requestId: string
  /** It was billed, or may have been. */
  readonly isBillable: boolean
}

/** What a model does with a send. */
type Behaviour = 'answer' | 'throttle' | 'refuse token' | 'fail unbilled' | 'fail billed' | 'unreachable' | 'hang'

const USAGE = { promptTokens: 100, completionTokens: 50 }
/** A job that says so is refused for good, whoever asks. */
export const REJECT = 'reject this'
/** A job that says so is answered with more than fits into its record. */
export const ANSWER_AT_LENGTH = 'answer at length'
const LONG_TEXT = 'x'.repeat(MAX_RESULT_BYTES)
const MAX_THINKING_MS = 20_000

/**
 * A model as one process reaches it: it answers, rejects, throttles, fails before or after it billed, or never answers.
 *
 * `sending` hears of a send in the tick in which it leaves, `taken` when the model has taken it in.
 */
export function createModel(
  parts: WireParts,
  process: Process,
  wire: Wire,
  heard: { readonly sending: (requestId: string) => void; readonly taken: (call: ModelCall) => void },
): ModelProvider {
  const { world, faults, exercised } = parts
  const { random } = world

  function behave(): Behaviour {
    if (faults.isAway('model', world.now())) return random.pick(['throttle', 'unreachable', 'fail unbilled'])
    if (!random.chance(ratesAt(faults, world.now()).model)) return 'answer'
    return random.pick(['throttle', 'refuse token', 'fail unbilled', 'fail billed', 'unreachable', 'hang'])
  }

  return {
    ask(request, signal) {
      const { promise, resolve } = Promise.withResolvers<ModelReply>()
      const { clientRequestId: requestId } = request
      if (process.isDead || wire.fateOfCaller(`ask ${requestId}`)) return promise
      heard.sending(requestId)
      const giveUp = () => resolve(failed({ kind: 'ambiguous', message: 'nobody waited for the answer' }))
      if (signal.aborted) giveUp()
      signal.addEventListener('abort', giveUp, { once: true })
      const behaviour = behave()
      world.after(random.whole(1, 50), undefined, () => {
        const isBillable = ['answer', 'fail billed', 'hang'].includes(behaviour) && !says(request, REJECT)
        world.note('model', `${requestId}: ${behaviour}${isBillable ? ', billed' : ''}`)
        heard.taken({ requestId, isBillable })
        if (behaviour === 'throttle') count(exercised, 'throttled call')
        if (behaviour === 'refuse token') count(exercised, 'refused token')
        if (behaviour.startsWith('fail') || behaviour === 'hang') count(exercised, 'ambiguous call')
        if (behaviour === 'hang') return
        const thinkingMs = random.whole(1, behaviour === 'answer' ? MAX_THINKING_MS : 1_000)
        world.after(thinkingMs, process, () => resolve(replyTo(request, behaviour, random.whole(0, 5_000))))
      })
      return promise.finally(() => signal.removeEventListener('abort', giveUp))
    },
  }
}

function says({ job }: ModelRequest, text: string): boolean {
  return JSON.stringify(job.body).includes(text)
}

function replyTo(request: ModelRequest, behaviour: Exclude<Behaviour, 'hang'>, retryAfterMs: number): ModelReply {
  const { clientRequestId: requestId } = request
  switch (behaviour) {
    case 'answer': {
      if (says(request, REJECT)) return failed({ kind: 'rejected', message: 'rejected', httpStatus: 400, requestId })
      const content = says(request, ANSWER_AT_LENGTH) ? LONG_TEXT : requestId
      const text = JSON.stringify({ choices: [{ message: { content } }] })
      return { ok: true, text, usage: USAGE, finishReason: 'stop', httpStatus: 200, requestId }
    }
    case 'throttle':
      return failed({ kind: 'throttled', message: 'throttled', httpStatus: 429, retryAfterMs })
    case 'refuse token':
      return failed({ kind: 'unauthorized', message: 'the token is refused', httpStatus: 401 })
    case 'unreachable':
      return failed({ kind: 'unreachable', message: 'connection refused' })
    default:
      return failed({ kind: 'ambiguous', message: 'the answer broke off', httpStatus: 500 })
  }
}

function failed(failure: Failure): ModelReply {
  return { ok: false, failure }
}

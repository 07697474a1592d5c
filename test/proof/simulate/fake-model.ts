import type { AskWithToken } from '../../../shared/models/bearer-provider.ts'
import type { ModelReply, ModelRequest } from '../../../shared/models/provider.ts'
import { count } from './exercised.ts'
import { ratesAt } from './faults.ts'
import { act, type Behaviour, drawBehaviour, type ModelAct } from './model-replies.ts'
import { nameOf } from './model-windows.ts'
import type { Wire, WireParts } from './wire.ts'
import type { Process } from './world.ts'

/** A send that the model took in. */
export interface ModelCall extends Pick<ModelAct, 'behaviour' | 'isBillable' | 'reply'> {
  /** `key.run.attempt`, as its sender names it. */
  readonly requestId: string
  /** Its name, at its endpoint. */
  readonly deployment: string
}

/** It is unknown whether it was billed, and the provider did not say that it is unavailable. */
export function isMaybeBilled({ behaviour }: ModelCall): boolean {
  return behaviour === 'silent' || behaviour === 'fail billed' || behaviour === 'fail unbilled'
}

/** Billed, or not known to be unbilled by its sender. */
export function mayBeBilled(call: ModelCall): boolean {
  return call.isBillable || call.behaviour === 'unavailable' || isMaybeBilled(call)
}

interface ModelListener {
  readonly sending: (requestId: string, deployment: string) => void
  readonly taken: (call: ModelCall, process: Process) => void
  readonly replied: (request: ModelRequest, token: string, reply: ModelReply) => void
  /** What the sender reads of a reply. */
  readonly reads: (reply: ModelReply) => ModelReply
}

const MAX_THINKING_MS = 20_000

/**
 * A model as one process reaches it: it answers, rejects, throttles, fails before or after it billed, or never answers.
 *
 * `heard.sending` is called in the tick in which a send leaves, `taken` when the model has taken it in, and `replied` in the
 * tick in which its sender has the reply.
 */
export function createModel(parts: WireParts, process: Process, wire: Wire, heard: ModelListener): AskWithToken {
  const { world, faults, exercised } = parts
  const { random } = world

  function behave(deployment: string): Behaviour {
    const now = world.now()
    if (faults.isAway('model', now)) return random.pick(['throttled', 'unreachable', 'fail unbilled'])
    return faults.modelWindow(deployment, now) ?? drawBehaviour(random, random.chance(ratesAt(faults, now).model))
  }

  return (request, token, signal) => {
    const { promise, resolve } = Promise.withResolvers<ModelReply>()
    const { clientRequestId: requestId } = request
    const deployment = nameOf(request.deployment)
    if (process.isDead || wire.fateOfCaller(`ask ${requestId}`)) return promise
    heard.sending(requestId, request.deployment.name)
    const giveUp = () => {
      resolve({ ok: false, failure: { kind: 'ambiguous', message: 'the request was aborted before its answer' } })
    }
    if (signal.aborted) giveUp()
    signal.addEventListener('abort', giveUp, { once: true })
    const { behaviour, isBillable, reply, situation } = act(random, request, behave(deployment))
    world.after(random.whole(1, 50), undefined, () => {
      world.note('model', `${deployment}, ${requestId}: ${behaviour}${isBillable ? ', billed' : ''}`)
      heard.taken({ requestId, deployment, behaviour, isBillable, reply }, process)
      if (situation !== undefined) count(exercised, situation)
      if (reply === undefined) return
      world.after(random.whole(1, reply.ok ? MAX_THINKING_MS : 1_000), process, () => {
        if (wire.fateWithAnswer(`the answer to ${requestId}`)) return
        if (!signal.aborted) heard.replied(request, token, reply)
        resolve(heard.reads(reply))
      })
    })
    return promise.finally(() => signal.removeEventListener('abort', giveUp))
  }
}

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { AccessToken } from '../../shared/identity/renewal.ts'
import { TokenError } from '../../shared/identity/token-error.ts'
import { createBearerProvider } from '../../shared/models/bearer-provider.ts'
import type { ModelReply } from '../../shared/models/provider.ts'
import { createDrain } from '../../worker/delivery/drain.ts'
import { ask } from '../../worker/jobs/ask.ts'
import { aDeployment } from '../support/deployment-builders.ts'
import { aJob, START } from '../support/job-builders.ts'
import { circuitsOf, NEVER_MISSING, providerOf, seatAt, tokensOf } from '../support/job-processing.ts'
import { aReply, failed } from '../support/virtual-jobs.ts'

const deployment = aDeployment()
const request = { job: aJob(), seat: seatAt(deployment), clientRequestId: 'key.1.1' }
const answer = aReply()

type Script = readonly ((signal: AbortSignal) => ModelReply | Promise<ModelReply>)[]

/** A model that follows a script, and tokens that are numbered. */
function scripted(script: Script, over: { now?: () => number; getToken?: () => Promise<AccessToken> } = {}) {
  const { now = Date.now } = over
  const drain = createDrain()
  const asked: string[] = []
  const refused: string[] = []
  const token = async () => ({ value: `token ${refused.length + 1}`, fetchedAt: 0, expiresAt: 0 })
  const tokens = tokensOf(over.getToken ?? token, { refused: ({ value }) => refused.push(value) > 1 })
  const asking = {
    drain,
    now,
    circuits: circuitsOf(now),
    missing: NEVER_MISSING,
    provider: createBearerProvider(tokens, async (_, token, signal) => {
      asked.push(token)
      const reply = script[asked.length - 1]
      assert.ok(reply, 'asked more often than the script says')
      return reply(signal)
    }),
  }
  const cancel = new AbortController()
  const limits = (cancelled: AbortSignal, sendWithinMs = 60_000, modelTimeoutMs = 60_000) => {
    const sendBy = now() + sendWithinMs
    return { leftMs: () => sendBy - now(), modelTimeoutMs, waitUntil: () => undefined, cancelled }
  }
  const run = async (sendWithinMs?: number, modelTimeoutMs?: number) =>
    (await ask(asking, request, limits(cancel.signal, sendWithinMs, modelTimeoutMs))).reply
  return { ...asking, limits, run, asked, refused, cancel }
}

const kindOf = (reply: ModelReply) => (reply.ok ? 'ok' : reply.failure.kind)

describe('an ask', () => {
  for (const kind of ['unreachable', 'throttled', 'unauthorized'] as const) {
    test(`is sent again after ${kind}, where nothing can have been billed`, async () => {
      const { run, asked } = scripted([() => failed(kind, { retryAfterMs: 0 }), () => answer])
      assert.deepEqual([await run(), asked.length], [answer, 2])
    })
  }

  for (const kind of ['ambiguous', 'rejected', 'forbidden', 'no_deployment'] as const) {
    test(`is never sent again after ${kind}`, async () => {
      const { run, asked } = scripted([() => failed(kind)])
      assert.deepEqual([kindOf(await run()), asked.length], [kind, 1])
    })
  }

  test('is not sent again when the second token is refused as well', async () => {
    const { run, asked, refused } = scripted([() => failed('unauthorized'), () => failed('unauthorized')])
    assert.equal(kindOf(await run()), 'unauthorized')
    for (const sent of [asked, refused]) assert.deepEqual(sent, ['token 1', 'token 2'])
  })

  test('that finds no token says which leg failed, and sends nothing', async () => {
    const error = new TokenError('entra_exchange', 'Entra answered 503', { httpStatus: 503, correlationId: 'c' })
    const { run, asked } = scripted([], { getToken: () => Promise.reject(error) })
    const expected = { kind: 'token', message: 'Entra answered 503', httpStatus: 503, requestId: 'c' }
    assert.deepEqual([await run(), asked], [{ ok: false, failure: expected }, []])
  })

  test('rejects for an internal error, and sends once', async () => {
    const fault = new Error('an internal error')
    const { run, asked } = scripted([() => Promise.reject(fault)])
    await assert.rejects(run(), fault)
    assert.equal(asked.length, 1)
  })
})

describe('an answered server error', () => {
  const serverError = () => failed('unavailable', { httpStatus: 500 })

  test('opens no circuit where it is the fault of the job, however often: the deployment answered another job', async () => {
    const { run, circuits } = scripted([() => answer, ...Array.from({ length: 9 }, () => serverError)])
    await run()
    for (let n = 0; n < 9; n += 1) assert.equal(kindOf(await run()), 'ambiguous')
    assert.equal(circuits.enter(deployment).isAllowed, true)
  })

  test('opens the circuit at the fifth in a row where the deployment answered no job', async () => {
    const { run, circuits } = scripted(Array.from({ length: 5 }, () => serverError))
    for (let n = 0; n < 5; n += 1) assert.equal(kindOf(await run()), 'unavailable')
    const [probe, next] = [circuits.enter(deployment), circuits.enter(deployment)]
    assert.deepEqual([probe.isAllowed, next.isAllowed], [true, false])
  })

  test('opens the circuit at once where it says for how long', async () => {
    const { run, circuits } = scripted([() => failed('unavailable', { httpStatus: 503, retryAfterMs: 60_000 })])
    assert.equal(kindOf(await run()), 'unavailable')
    assert.equal(circuits.enter(deployment).isAllowed, false)
  })
})

describe('the time of an ask', () => {
  test('that is over before anything was sent is no attempt', async () => {
    const { run, asked } = scripted([])
    assert.deepEqual([kindOf(await run(0)), asked], ['busy', []])
  })

  test('that is over at the very send, in a process that was frozen, sends nothing', async () => {
    const clock = { now: Date.now() }
    const getToken = async () => {
      clock.now += 60_000
      return { value: 'late', fetchedAt: 0, expiresAt: 0 }
    }
    const { run, asked } = scripted([], { now: () => clock.now, getToken })
    assert.deepEqual([kindOf(await run(60_000)), asked], ['busy', []])
  })

  test('that is over between two sends returns why the first failed', async () => {
    const { run } = scripted([() => failed('unreachable')])
    assert.equal(kindOf(await run(100)), 'unreachable')
  })

  test('that is shorter than the quota needs is not waited out', async () => {
    const { run, circuits, asked } = scripted([], { now: () => START })
    circuits.learn(deployment, { kind: 'throttled', message: 'quota', retryAfterMs: 30_000 }, () => undefined)
    const reply = await run(30_000)
    assert.deepEqual([kindOf(reply), !reply.ok && reply.failure.retryAfterMs, asked], ['throttled', 30_000, []])
  })
})

/** A model that answers nothing until it is broken off. */
const hanging = (signal: AbortSignal) =>
  new Promise<ModelReply>((resolve) => signal.addEventListener('abort', () => resolve(failed('ambiguous'))))

describe('a model that takes too long', () => {
  test('is a timeout of ours, and names the setting that limits it', async () => {
    const { run, asked } = scripted([hanging])
    const reply = await run(60_000, 1)
    assert.equal(kindOf(reply), 'timeout')
    assert.match((!reply.ok && reply.failure.hint) || '', /Raise MODEL_TIMEOUT_SECONDS/)
    assert.equal(asked.length, 1)
  })

  test('is no timeout where the instance ended or the batch was cancelled', async () => {
    const { run, cancel } = scripted([hanging])
    const reply = run()
    setImmediate(() => cancel.abort())
    assert.equal(kindOf(await reply), 'ambiguous')
  })
})

describe('an ask that has ended', () => {
  test('leaves no timer behind, and its signal follows the instance no more', async () => {
    const given = Promise.withResolvers<AbortSignal>()
    const { run, drain } = scripted([
      (signal) => {
        given.resolve(signal)
        return answer
      },
    ])
    const timers = () => process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length
    const before = timers()
    await run()
    assert.equal(timers(), before)
    drain.begin(0)
    await new Promise((resolve) => drain.over.addEventListener('abort', resolve))
    assert.equal((await given.promise).aborted, false)
  })
})

describe('an instance that begins to end', () => {
  test('gives a job that waits for quota back at once', async () => {
    const { run, drain, asked } = scripted([() => failed('throttled', { retryAfterMs: 30_000 })])
    const reply = run()
    setImmediate(() => drain.begin(6_000))
    assert.deepEqual([kindOf(await reply), asked.length], ['draining', 1])
  })

  test('sends nothing more', async () => {
    const { run, drain, asked } = scripted([])
    drain.begin(6_000)
    assert.deepEqual([kindOf(await run()), asked], ['draining', []])
  })

  test('lets what was sent come to its end', async () => {
    const late = Promise.withResolvers<ModelReply>()
    const { run, drain } = scripted([() => late.promise])
    const reply = run()
    setImmediate(() => {
      drain.begin(6_000)
      late.resolve(answer)
    })
    assert.deepEqual(await reply, answer)
  })

  test('reports what was sent and cut off as unknown, not as not sent', async () => {
    const late = Promise.withResolvers<ModelReply>()
    const { run, drain } = scripted([() => late.promise])
    drain.over.addEventListener('abort', () => late.resolve(failed('ambiguous')))
    const reply = run()
    setImmediate(() => drain.begin(0))
    assert.equal(kindOf(await reply), 'ambiguous')
  })
})

describe('an ask that is cancelled', () => {
  test('is broken off while it waits for quota, and says that nothing more was sent', async () => {
    const { run, cancel, asked } = scripted([() => failed('throttled', { retryAfterMs: 30_000 })])
    const reply = run()
    setImmediate(() => cancel.abort())
    assert.deepEqual([kindOf(await reply), asked.length], ['throttled', 1])
  })

  test('sends nothing more', async () => {
    const { run, cancel, asked } = scripted([])
    cancel.abort()
    assert.deepEqual([kindOf(await run()), asked], ['busy', []])
  })

  for (const [kind, when] of [
    ['ambiguous', 'once it was sent'],
    ['unreachable', 'while it connects'],
  ] as const) {
    test(`is ${kind} ${when}, and does not open the circuit, however many there are`, async () => {
      const { circuits, limits, ...asking } = scripted([])
      for (let n = 0; n < 9; n += 1) {
        const cancel = new AbortController()
        const provider = providerOf(async () => {
          cancel.abort()
          return failed(kind)
        })
        const { reply } = await ask({ ...asking, circuits, provider }, request, limits(cancel.signal))
        assert.equal(kindOf(reply), kind)
      }
      const [one, another] = [circuits.enter(deployment), circuits.enter(deployment)]
      assert.deepEqual([one.isAllowed, another.isAllowed], [true, true])
    })
  }

  test('that was answered all the same keeps its answer', async () => {
    const late = Promise.withResolvers<ModelReply>()
    const { run, cancel } = scripted([() => late.promise])
    const reply = run()
    setImmediate(() => {
      cancel.abort()
      late.resolve(answer)
    })
    assert.deepEqual(await reply, answer)
  })
})

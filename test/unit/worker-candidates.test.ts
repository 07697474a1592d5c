import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { Deployment } from '../../shared/config/deployments.ts'
import type { Failure } from '../../shared/job/failures.ts'
import type { ModelReply } from '../../shared/models/provider.ts'
import { planJob } from '../../worker/jobs/plan-job.ts'
import { aDeployment } from '../support/deployment-builders.ts'
import { aJob, START } from '../support/job-builders.ts'
import type { JobParts } from '../support/job-dependencies.ts'
import { circuitsOf, providerOf } from '../support/job-processing.ts'
import { aReply, failed, fateOf, virtualJobs } from '../support/virtual-jobs.ts'

const TEN_MINUTES_MS = 600_000
const ignore = () => undefined
const serve = (deployment: string, over: Partial<Deployment> = {}) =>
  aDeployment({ deployment, endpoint: `https://${deployment}.openai.azure.com`, ...over })
const [first, small, second] = [serve('first'), serve('small', { model: 'gpt-4o-mini' }), serve('second')]
const notFound: Failure = { kind: 'no_deployment', message: 'no such deployment', hint: 'Create it.' }
const throttled = (retryAfterMs: number): Failure => ({ kind: 'throttled', message: 'quota', retryAfterMs })

/** Deployments whose circuits learn `failures` first. */
function planning(failures: Readonly<Record<string, Failure>> = {}, deployments = [first, small, second]) {
  const circuits = circuitsOf(() => START, 1)
  for (const each of deployments) {
    const failure = failures[each.name]
    if (failure !== undefined) circuits.learn(each, failure, ignore)
  }
  const parts = { deployments, circuits, maxOutputTokens: 1_000, allowedBodyFields: [], rolloutMs: 0, now: () => START }
  return (over: Parameters<typeof aJob>[0]) => {
    const plan = planJob(parts, aJob(over), START)
    if (plan.kind === 'ask') return plan.candidates.map(({ deployment }) => deployment.name)
    return plan.kind === 'end' ? (plan.ending.error.code ?? plan.ending.error.kind) : plan.kind
  }
}

describe('the candidates of a job', () => {
  test('are the deployments of its model, in order', () => {
    assert.deepEqual(planning()({ model: 'gpt-4o' }), ['first', 'second'])
    assert.deepEqual(planning()({ model: 'gpt-4o-mini' }), ['small'])
  })

  test('are those of the first model of all where it names none', () => {
    assert.deepEqual(planning()({ model: undefined }), ['first', 'second'])
  })

  test('are none for a model that no deployment serves, even if a deployment has that name', () => {
    assert.equal(planning()({ model: 'second' }), 'invalid')
    assert.equal(planning()({ model: 'GPT-4o' }), 'invalid')
  })

  test('do not include a deployment whose limit its body exceeds', () => {
    const [low, high] = [serve('low', { maxOutputTokens: 10 }), serve('high', { maxOutputTokens: 100 })]
    const plan = planning({}, [low, high])
    assert.deepEqual(plan({ body: { messages: [], max_tokens: 10 } }), ['low', 'high'])
    assert.deepEqual(plan({ body: { messages: [], max_tokens: 11 } }), ['high'])
    assert.equal(plan({ body: { messages: [], max_tokens: 101 } }), 'invalid')
  })

  test('are none only if all have been missing for ten minutes', () => {
    const since = (missingForMs: number) => ({ ...notFound, missingForMs })
    const job = { model: 'gpt-4o' }
    assert.deepEqual(planning({ first: since(TEN_MINUTES_MS) })(job), ['first', 'second'])
    const almost = { first: since(TEN_MINUTES_MS), second: since(TEN_MINUTES_MS - 1) }
    assert.deepEqual(planning(almost)(job), ['first', 'second'])
    assert.equal(planning({ first: since(TEN_MINUTES_MS), second: since(TEN_MINUTES_MS) })(job), 'no_deployment')
  })

  test('are none if those that its body may ask have been missing for ten minutes', () => {
    const low = serve('low', { maxOutputTokens: 10 })
    const plan = planning({ first: { ...notFound, missingForMs: TEN_MINUTES_MS } }, [low, first])
    assert.equal(plan({ body: { messages: [], max_tokens: 11 } }), 'no_deployment')
  })
})

/** A worker with two deployments of a model, in virtual time, whose replies `reply` makes. */
async function twoDeployments(t: TestContext, reply: (name: string) => ModelReply = () => aReply(), over = {}) {
  const { clock, now, parts, deliver, record } = await virtualJobs(t)
  const asked: string[] = []
  const circuits = circuitsOf(now, 1)
  const provider = providerOf(async ({ deployment }) => {
    asked.push(deployment.name)
    return reply(deployment.name)
  })
  let owners = 0
  const newOwner = () => `owner ${++owners}`
  const worker: JobParts = { ...parts, circuits, provider, deployments: [first, second], newOwner, ...over }
  const run = async (job = aJob()) => fateOf(await deliver(worker, { job }))
  return { clock, asked, circuits, run, record, drain: worker.drain }
}

describe('a job with two deployments of its model', () => {
  test('asks the first while both are open', async (t) => {
    const { run, asked } = await twoDeployments(t)
    assert.deepEqual([await run(), asked], ['succeeded', ['first']])
  })

  for (const [why, failure] of [
    ['has no quota', throttled(30_000)],
    ['is missing', notFound],
    ['denies the caller', { kind: 'forbidden', message: 'denied' }],
    ['is at a resource that refuses the token', { kind: 'unauthorized', message: 'refused' }],
    ['said when it is available again', { kind: 'unavailable', message: '503', retryAfterMs: 30_000 }],
  ] satisfies [string, Failure][]) {
    test(`asks the second at once where the first ${why}, and the first again when it is open`, async (t) => {
      const { run, asked, circuits, clock } = await twoDeployments(t)
      circuits.learn(first, failure, ignore)
      assert.deepEqual([await run(), asked], ['succeeded', ['second']])
      clock.now += TEN_MINUTES_MS
      assert.deepEqual([await run(aJob({ id: 'later' })), asked], ['succeeded', ['second', 'first']])
    })
  }

  test('asks the second while another job probes the first', async (t) => {
    const { run, asked, circuits, clock } = await twoDeployments(t)
    circuits.learn(first, { kind: 'forbidden', message: 'denied' }, ignore)
    clock.now += TEN_MINUTES_MS
    const probe = circuits.enter(first)
    assert.ok(probe.isAllowed)
    assert.deepEqual([await run(), asked], ['succeeded', ['second']])
  })

  test('is deferred with the wait of the one that opens first, where neither opens in time', async (t) => {
    const { circuits, run, record } = await twoDeployments(t)
    circuits.learn(first, { kind: 'forbidden', message: 'denied' }, ignore)
    circuits.learn(second, throttled(500_000), ignore)
    assert.deepEqual([await run(), await record()], ['forbidden', undefined])
  })
})

describe('a job whose deployments are all closed', () => {
  test('waits for the one that opens first, whichever stands first', async (t) => {
    for (const [one, other] of [
      [first, second],
      [second, first],
    ] as const) {
      const { circuits, run, asked, clock } = await twoDeployments(t)
      circuits.learn(one, throttled(50_000), ignore)
      circuits.learn(other, throttled(20), ignore)
      const outcome = run()
      // More than 20 ms with any jitter, and less than the other waits.
      setImmediate(() => {
        clock.now += 1_000
      })
      assert.deepEqual([await outcome, asked], ['succeeded', [other.name]])
    }
  })

  test('asks the one whose probe ends well before the other opens', async (t) => {
    const { circuits, run, asked, clock } = await twoDeployments(t)
    circuits.learn(second, { kind: 'forbidden', message: 'denied' }, ignore)
    clock.now += TEN_MINUTES_MS
    const probe = circuits.enter(second)
    assert.ok(probe.isAllowed)
    circuits.learn(first, throttled(50_000), ignore)
    const outcome = run()
    setImmediate(() => {
      circuits.learn(second, undefined, ignore)
      probe.leave()
    })
    assert.deepEqual([await outcome, asked], ['succeeded', ['second']])
  })

  test('is deferred when the instance begins to end', async (t) => {
    const { circuits, run, drain, asked } = await twoDeployments(t)
    circuits.learn(first, throttled(30_000), ignore)
    circuits.learn(second, throttled(40_000), ignore)
    const outcome = run()
    setImmediate(() => drain.begin(0))
    assert.deepEqual([await outcome, asked], ['draining', []])
  })
})

/** Replies of each deployment in order; the last one repeats. */
const scripted = (script: Readonly<Record<string, readonly ModelReply[]>>) => {
  const asked: Record<string, number> = {}
  return (name: string): ModelReply => {
    const replies = script[name] ?? []
    const at = asked[name] ?? 0
    asked[name] = at + 1
    return replies[Math.min(at, replies.length - 1)] ?? aReply()
  }
}

describe('an attempt whose request a deployment refuses without billing it', () => {
  for (const kind of ['throttled', 'unreachable', 'no_deployment', 'forbidden', 'unauthorized'] as const) {
    test(`asks the second at once after ${kind}, and its record names the one that answered`, async (t) => {
      const { run, asked, record } = await twoDeployments(t, scripted({ first: [failed(kind)] }))
      assert.deepEqual([await run(), asked], ['succeeded', ['first', 'second']])
      const { attempts, uncounted } = (await record()) ?? assert.fail('no record')
      assert.deepEqual(
        attempts.map(({ deployment, n }) => [deployment, n]),
        [['second', 1]],
      )
      assert.deepEqual(uncounted, {})
    })
  }

  for (const kind of ['ambiguous', 'timeout', 'unavailable', 'rejected', 'oversized'] as const) {
    test(`sends nothing more after ${kind}, because the first may have been billed`, async (t) => {
      const { run, asked } = await twoDeployments(t, scripted({ first: [failed(kind)] }))
      await run()
      assert.deepEqual(asked, ['first'])
    })
  }

  test('adds the cap of the deployment that it goes to', async (t) => {
    const caps: (number | undefined)[] = []
    const provider = providerOf(async ({ deployment, outputCap }) => {
      caps.push(outputCap)
      return deployment.name === 'first' ? failed('unreachable') : aReply()
    })
    const deployments = [serve('first', { maxOutputTokens: 10 }), serve('second', { maxOutputTokens: 20 })]
    const { run } = await twoDeployments(t, () => aReply(), { provider, deployments })
    assert.deepEqual([await run(), caps], ['succeeded', [10, 20]])
  })

  test('asks the first again where only the second denies it for good', async (t) => {
    const reply = scripted({ first: [failed('unreachable'), aReply()], second: [failed('forbidden')] })
    const { run, asked } = await twoDeployments(t, reply)
    assert.deepEqual([await run(), asked], ['succeeded', ['first', 'second', 'first']])
  })

  test('is deferred by what may pass soonest where both refuse it for longer than it can wait', async (t) => {
    const reply = scripted({
      first: [failed('throttled', { retryAfterMs: 400_000 })],
      second: [failed('no_deployment')],
    })
    const { run, asked, record } = await twoDeployments(t, reply)
    assert.deepEqual([await run(), asked], ['throttled', ['first', 'second']])
    assert.deepEqual((await record())?.uncounted, { throttled: 1 })
  })

  test('sends nothing to the second when the time for sends is over', async (t) => {
    const on = await twoDeployments(t, (name) => {
      if (name === 'first') on.clock.now += 31_000
      return name === 'first' ? failed('unreachable') : aReply()
    })
    assert.deepEqual([await on.run(), on.asked], ['unreachable', ['first']])
  })

  test('sends nothing to the second when the instance begins to end', async (t) => {
    const on = await twoDeployments(t, (name) => {
      if (name === 'first') on.drain.begin(6_000)
      return name === 'first' ? failed('unreachable') : aReply()
    })
    assert.deepEqual([await on.run(), on.asked], ['draining', ['first']])
  })

  test('may probe the second, and leaves its circuit half-open for the next job if that says nothing about it', async (t) => {
    const reply = scripted({ first: [failed('forbidden')], second: [failed('rejected')] })
    const { run, asked, circuits, clock } = await twoDeployments(t, reply)
    circuits.learn(second, { kind: 'forbidden', message: 'denied' }, ignore)
    clock.now += TEN_MINUTES_MS
    assert.deepEqual([await run(), asked], ['dead_lettered', ['first', 'second']])
    assert.equal(circuits.enter(second).isAllowed, true)
  })
})

describe('a wait after a failure', () => {
  const unavailable = (httpStatus = 500) => failed('unavailable', { httpStatus })
  const cautious = { retry: { maxAttempts: 5, onUnknown: 'dead-letter' } } as const
  const waitOf = async (record: Awaited<ReturnType<typeof twoDeployments>>['record']) => {
    const found = await record()
    assert.ok(found?.status === 'waiting')
    return [found.waitMs, found.waitsFor]
  }

  test('is for the deployment that failed: the next attempt asks the other one at once', async (t) => {
    const { run, asked, record } = await twoDeployments(t, scripted({ first: [unavailable()] }))
    assert.deepEqual([await run(), await waitOf(record)], ['unavailable', [10_000, ['first']]])
    assert.deepEqual([await run(), asked], ['succeeded', ['first', 'second']])
    const { attempts } = (await record()) ?? assert.fail('no record')
    assert.deepEqual(
      attempts.map(({ deployment, n }) => [deployment, n]),
      [['second', 2]],
    )
  })

  test('is for both once both failed, and grows: no job goes to and fro', async (t) => {
    const { run, asked, record, clock } = await twoDeployments(t, () => unavailable())
    for (const fate of ['unavailable', 'unavailable', 'busy', 'busy']) assert.equal(await run(), fate)
    assert.deepEqual(
      [asked, await waitOf(record)],
      [
        ['first', 'second'],
        [20_000, undefined],
      ],
    )
    clock.now += 20_000
    assert.deepEqual([await run(), asked.at(-1), await waitOf(record)], ['unavailable', 'first', [40_000, ['first']]])
  })

  test('is over for the deployment that failed when its time has passed', async (t) => {
    const { run, asked, clock } = await twoDeployments(t, scripted({ first: [unavailable(), aReply()] }))
    await run()
    clock.now += 10_000
    assert.deepEqual([await run(), asked], ['succeeded', ['first', 'first']])
  })

  test('keeps an attempt at the other one from the one that is waited for, whatever happens there', async (t) => {
    const reply = scripted({ first: [unavailable()], second: [failed('throttled', { retryAfterMs: 400_000 })] })
    const { run, asked, record } = await twoDeployments(t, reply)
    await run()
    assert.deepEqual([await run(), asked], ['throttled', ['first', 'second']])
    assert.deepEqual(await waitOf(record), [400_000, undefined])
  })

  test('goes on for the time that is left if the attempt at the other one ends without a wait', async (t) => {
    const on = await twoDeployments(t, (name) => {
      if (name === 'second') {
        on.clock.now += 4_000
        on.drain.begin(6_000)
      }
      return name === 'first' ? unavailable() : failed('unreachable')
    })
    await on.run()
    on.clock.now += 3_000
    assert.deepEqual([await on.run(), await waitOf(on.record)], ['draining', [3_000, ['first']]])
  })

  test('is for all deployments where ON_UNKNOWN forbids a second send that may be billed', async (t) => {
    const { run, asked, record } = await twoDeployments(t, scripted({ first: [unavailable(503)] }), cautious)
    assert.deepEqual([await run(), await waitOf(record)], ['unavailable', [10_000, undefined]])
    assert.deepEqual([await run(), asked], ['busy', ['first']])
  })

  test('is for the deployment without quota alone under any ON_UNKNOWN: nothing was billed', async (t) => {
    const on = await twoDeployments(
      t,
      (name) => {
        if (name === 'first') on.clock.now += 31_000
        return name === 'first' ? failed('throttled', { retryAfterMs: 400_000 }) : aReply()
      },
      cautious,
    )
    assert.deepEqual([await on.run(), await waitOf(on.record)], ['throttled', [400_000, ['first']]])
    assert.deepEqual([await on.run(), on.asked], ['succeeded', ['first', 'second']])
  })

  test('is written for no job that has one deployment', async (t) => {
    const { run, record } = await twoDeployments(t, () => unavailable(), { deployments: [first] })
    assert.deepEqual([await run(), await waitOf(record)], ['unavailable', [10_000, undefined]])
  })
})

describe('a request that Azure sends on to another deployment by itself', () => {
  const standard = serve('standard', { endpoint: first.endpoint })
  const deployments = [first, standard, second]

  test('is recorded with the deployment and the tier that answered', async (t) => {
    const reply = aReply({ spilledTo: 'standard', serviceTier: 'default' })
    const { run, record, asked } = await twoDeployments(t, () => reply, { deployments })
    assert.deepEqual([await run(), asked], ['succeeded', ['first']])
    const [attempt] = (await record())?.attempts ?? []
    assert.deepEqual([attempt?.deployment, attempt?.spilledTo, attempt?.tier], ['first', 'standard', 'default'])
  })

  test('and fails there as well is asked of none in addition, and next of one that Azure did not ask', async (t) => {
    const spilled = failed('throttled', { retryAfterMs: 400_000, spilledTo: 'standard' })
    const { run, record, asked } = await twoDeployments(t, scripted({ first: [spilled] }), { deployments })
    assert.deepEqual([await run(), asked], ['throttled', ['first']])
    const found = await record()
    assert.ok(found?.status === 'waiting')
    assert.deepEqual([found.waitMs, found.waitsFor], [400_000, ['first', 'standard']])
    assert.deepEqual([await run(), asked], ['succeeded', ['first', 'second']])
  })

  test('closes no deployment of that name at another resource', async (t) => {
    const elsewhere = serve('standard')
    const spilled = failed('throttled', { retryAfterMs: 400_000, spilledTo: 'standard' })
    const { run, circuits } = await twoDeployments(t, () => spilled, { deployments: [first, elsewhere] })
    await run()
    assert.deepEqual(
      [first, elsewhere].map((each) => circuits.enter(each).isAllowed),
      [false, true],
    )
  })
})

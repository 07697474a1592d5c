import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { Circuits } from '../../shared/models/circuits.ts'
import type { ModelProvider, Send } from '../../shared/models/provider.ts'
import type { BatchControls } from '../../worker/limits/batch-controls.ts'
import { aDeployment } from '../support/deployment-builders.ts'
import { aJob, START } from '../support/job-builders.ts'
import type { JobParts } from '../support/job-dependencies.ts'
import { circuitsOf, controlsOf } from '../support/job-processing.ts'
import { failed, fateOf, virtualJobs } from '../support/virtual-jobs.ts'

const deployment = aDeployment()
const throttled = (retryAfterMs: number) => ({ kind: 'throttled', message: 'quota', retryAfterMs }) as const
const ignore = () => undefined

/** While a job waits for a circuit to close, the clock moves by as much. */
function passingTime(circuits: Circuits, clock: { now: number }): Circuits {
  let waitedMs = 0
  return {
    ...circuits,
    enter(deployment) {
      clock.now += waitedMs
      const entry = circuits.enter(deployment)
      waitedMs = entry.isAllowed || typeof entry.waitFor !== 'number' ? 0 : entry.waitFor
      return entry
    },
  }
}

/** A provider that calls `onReady` each time it is asked whether it is ready. */
function readyAfter(onReady: () => void, send: Send): ModelProvider {
  return {
    async ready() {
      onReady()
      return send
    },
  }
}

/** A job whose model rejects it; `onReady` is called when it asks whether the provider is ready. */
async function processing(t: TestContext, onReady: () => void = ignore, over: Partial<JobParts> = {}) {
  const on = await virtualJobs(t)
  const { clock, now, record } = on
  const asked: number[] = []
  const circuits = passingTime(circuitsOf(now), clock)
  const provider = readyAfter(onReady, async () => {
    asked.push(now())
    return failed('rejected')
  })
  const parts = { ...on.parts, circuits, provider, ...over }
  const run = async (deadline = START + 570_000, job = aJob()) => fateOf(await on.deliver(parts, { job, deadline }))
  return { clock, run, asked, record, circuits, drain: parts.drain }
}

describe('a job that must wait for quota', () => {
  test('longer than a minute is deferred before it is claimed', async (t) => {
    const { run, circuits, clock, record } = await processing(t)
    circuits.learn(deployment, throttled(60_000), ignore)
    // A job is held for a minute at most.
    clock.now -= 1
    assert.deepEqual([await run(), await record()], ['throttled', undefined])
  })

  test('is deferred where too little of its push is left for the model, and waits where there is enough', async (t) => {
    const { run, circuits, record } = await processing(t)
    circuits.learn(deployment, throttled(200), ignore)
    assert.deepEqual([await run(START + 120_199), await record()], ['throttled', undefined])
    assert.equal(await run(START + 120_201), 'dead_lettered')
  })

  test('is deferred at once, unclaimed, when the instance begins to end', async (t) => {
    const { run, circuits, drain, record } = await processing(t)
    circuits.learn(deployment, throttled(30_000), ignore)
    const outcome = run()
    drain.begin(6_000)
    assert.deepEqual([await outcome, await record()], ['draining', undefined])
  })
})

test('a clock that is set back while a job waits to send does not let it be sent when its lease is over', async (t) => {
  const clocks = { ready: 0, elapsed: 0 }
  const setBack = () => {
    clocks.ready += 1
    // Once for admission; then the wait that the lease covers, and half a minute more.
    if (clocks.ready !== 2) return
    clocks.elapsed = 60_000
    on.clock.now -= 360_000
  }
  const on = await processing(t, setBack, { elapsed: () => clocks.elapsed })
  assert.deepEqual([await on.run(), on.asked], ['busy', []])
})

describe('a push with less than MODEL_TIMEOUT_SECONDS left', () => {
  test('when the token came claims nothing and counts nothing: a shortened ask is not the fault of the model', async (t) => {
    const on = await processing(t, () => {
      on.clock.now += 9_501
    })
    assert.deepEqual([await on.run(START + 129_500), on.asked, await on.record()], ['busy', [], undefined])
  })

  test('by a millisecond more when the token came is asked', async (t) => {
    const on = await processing(t, () => {
      if (on.asked.length === 0) on.clock.now = START + 9_499
    })
    assert.equal(await on.run(START + 129_500), 'dead_lettered')
    assert.equal((await on.record())?.status, 'dead_lettered')
  })
})

test('a job whose deadline passed while it waited for admission is expired and not asked', async (t) => {
  const on = await processing(t, () => {
    on.clock.now += 5_000
  })
  assert.deepEqual([await on.run(undefined, aJob({ deadline: START + 4_999 })), on.asked], ['expired', []])
})

describe('a job that arrives while another probes the deployment', () => {
  const denied = { kind: 'forbidden', message: 'denied' } as const

  /** The circuit is half-open, and one job probes the deployment. */
  async function probed(t: TestContext) {
    const on = await processing(t)
    on.circuits.learn(deployment, denied, ignore)
    const probe = on.circuits.enter(deployment)
    assert.ok(probe.isAllowed)
    return { ...on, probe }
  }

  test('waits for what that finds out, and goes on', async (t) => {
    const { run, circuits, probe } = await probed(t)
    const outcome = run()
    circuits.learn(deployment, undefined, ignore)
    probe.leave()
    assert.equal(await outcome, 'dead_lettered')
  })

  test('probes it next where that finds out nothing', async (t) => {
    const { run, asked, probe } = await probed(t)
    const outcome = run()
    probe.leave()
    assert.deepEqual([await outcome, asked.length], ['dead_lettered', 1])
  })

  test('is deferred where that takes longer than its push can wait', async (t) => {
    const { run, record } = await probed(t)
    assert.deepEqual([await run(START + 20), await record()], ['forbidden', undefined])
  })

  test('is deferred when the instance begins to end', async (t) => {
    const { run, drain } = await probed(t)
    const outcome = run()
    setImmediate(() => drain.begin(0))
    assert.equal(await outcome, 'draining')
  })
})

describe('a job that arrives when the tokens are spent', () => {
  /** Controls that find the batch at its limit from the `from`th look on. */
  const limitedFrom = (from: number): BatchControls => {
    let looks = 0
    const limitReached = async () => {
      looks += 1
      return looks < from ? undefined : { spent: 101, limit: 100 }
    }
    return controlsOf({ limitReached })
  }

  test('of the day is deferred before a token is asked for, or a record touched', async (t) => {
    const tokens: string[] = []
    const failure = { kind: 'budget', message: 'spent' } as const
    const daily = { limitReached: async () => failure, spend: ignore }
    const { run, record } = await processing(t, () => tokens.push('asked for'), { daily })
    assert.deepEqual([await run(), tokens, await record()], ['budget', [], undefined])
  })

  test('of its batch is dead-lettered without an attempt, with a hint how to go on', async (t) => {
    const { run, record, asked } = await processing(t, ignore, { controls: limitedFrom(1) })
    assert.deepEqual([await run(), asked], ['dead_lettered', []])
    const found = await record()
    assert.ok(found?.status === 'dead_lettered')
    assert.deepEqual(found.attempts, [])
    assert.deepEqual(found.error, {
      kind: 'budget',
      code: 'batch_token_limit',
      message: 'its batch has taken 101 tokens; its limit is 100',
      hint: 'Raise it and replay: promptbridge dead-letters replay --batch nightly --reason budget --token-limit N',
    })
  })

  test('of its batch while it waited for admission is not asked either', async (t) => {
    const tokens: string[] = []
    const { run, asked } = await processing(t, () => tokens.push('asked for'), { controls: limitedFrom(2) })
    assert.deepEqual([await run(), tokens, asked], ['dead_lettered', ['asked for'], []])
  })

  test('of its batch and whose deadline has passed is expired: no replay would help it', async (t) => {
    const { run } = await processing(t, ignore, { controls: limitedFrom(1) })
    assert.equal(await run(undefined, aJob({ deadline: START - 1 })), 'expired')
  })
})

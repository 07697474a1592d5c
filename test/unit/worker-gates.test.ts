import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type Failure, failureKinds } from '../../shared/job/failures.ts'
import { judge, onAnswered } from '../../worker/model/answers.ts'
import { areOthersMissing, chooseDeployment } from '../../worker/model/choose-deployment.ts'
import { createDeploymentGates } from '../../worker/model/deployment-gates.ts'
import {
  decidePassage,
  type Gate,
  isSetUpFault,
  OPEN,
  onDenied,
  onFault,
  onLetIn,
  onThrottled,
  onUnavailable,
} from '../../worker/model/gate.ts'

const START = Date.UTC(2026, 10, 24, 6)
const throttled = (retryAfterMs?: number): Failure => ({
  kind: 'throttled',
  message: 'quota used up',
  ...(retryAfterMs !== undefined && { retryAfterMs }),
})
const forbidden: Failure = { kind: 'forbidden', message: 'denied', code: 'PermissionDenied', hint: 'give the role' }
const lost: Failure = { kind: 'ambiguous', message: 'no whole answer came' }
const unreachable: Failure = { kind: 'unreachable', message: 'no connection' }

const kindAt = (ms: number, gate: Gate) => decidePassage(gate, START + ms).kind
const throttle = (failure: Failure, gate = OPEN, at = START, jitter = 0) => onThrottled(gate, failure, jitter, at)
const deny = (gate = OPEN, at = START) => onDenied(gate, forbidden, 1, at)
const fault = (gate = OPEN, at = START) => onFault(gate, lost, 1, at)
const fiveFaults = [1, 2, 3, 4, 5].reduce((gate) => fault(gate), OPEN)

describe('the gate of a deployment whose quota is used up', () => {
  test('opens at the very millisecond that Azure named', () => {
    const gate = throttle(throttled(500))
    assert.deepEqual(decidePassage(gate, START + 499), { kind: 'closed', forMs: 1, failure: throttled(1) })
    assert.deepEqual([kindAt(500, gate), kindAt(501, gate)], ['open', 'open'])
  })

  test('opens after a second where Azure named no time', () => {
    assert.equal(throttle(throttled()).closedUntil, START + 1_000)
  })

  test('stays open where Azure named no time to wait but zero', () => {
    assert.equal(kindAt(0, throttle(throttled(0), OPEN, START, 0.5)), 'open')
  })

  test('is closed for ten minutes at most, however long Azure named', () => {
    for (const named of [600_000, 600_001, 3_600_000, Number.POSITIVE_INFINITY]) {
      assert.equal(throttle(throttled(named)).closedUntil, START + 600_000)
    }
  })

  test('opens up to a fifth later, so that not all instances come back at once, and never earlier', () => {
    fc.assert(
      fc.property(fc.nat(60_000), fc.double({ min: 0, max: 1, noNaN: true }), (named, jitter) => {
        const waitMs = throttle(throttled(named), OPEN, START, jitter).closedUntil - START
        assert.ok(waitMs >= named && waitMs <= Math.ceil(named * 1.2), `${waitMs}`)
      }),
    )
  })

  test('is not opened earlier by a later, shorter throttle, nor by a request that was let in before', () => {
    const gate = throttle(throttled(10_000))
    assert.equal(throttle(throttled(100), gate, START + 1_000).closedUntil, START + 10_000)
    assert.equal(onLetIn(gate).closedUntil, START + 10_000)
  })
})

describe('a gate that nothing has closed', () => {
  test('is open, and nobody probes it', () => {
    assert.deepEqual(OPEN, { closedUntil: 0, faults: 0, closings: 0, isProbed: false })
    assert.equal(kindAt(0, OPEN), 'open')
  })

  test('is open whatever else is told of it', () => {
    assert.equal(kindAt(0, { ...OPEN, closedUntil: START + 1, closings: 1 }), 'open')
    assert.equal(kindAt(0, { ...OPEN, closings: 1 }), 'open')
  })
})

describe('the gate of a deployment that denies its caller', () => {
  test('is closed for up to 60 s, then for up to 5 min, and then probed by one request at a time', () => {
    let gate = OPEN
    let at = START
    for (const waitMs of [60_000, 120_000, 240_000, 300_000, 300_000]) {
      gate = deny(gate, at)
      assert.equal(gate.closedUntil - at, waitMs)
      at += waitMs
      assert.equal(decidePassage(gate, at - 1).kind, 'closed')
      assert.equal(decidePassage(gate, at).kind, 'probe')
    }
    assert.partialDeepStrictEqual(decidePassage({ ...gate, isProbed: true }, at), { kind: 'closed', forMs: undefined })
  })

  test('takes the denials of requests that were under way together for one', () => {
    const gate = deny()
    assert.equal(deny(gate, START + 59_999), gate)
  })

  test('is closed for the denial, where only its quota had closed it before', () => {
    const gate = deny(throttle(throttled(10_000)))
    assert.deepEqual([gate.closedUntil, gate.closings, gate.failure], [START + 60_000, 1, forbidden])
  })

  test('closes again at the first fault of its probe', () => {
    const gate = fault({ ...deny(), isProbed: true }, START + 60_000)
    assert.deepEqual([gate.closings, gate.isProbed, gate.failure], [2, false, lost])
  })

  test('opens when the deployment lets a request in, be it to throttle it', () => {
    assert.equal(onLetIn(deny()), OPEN)
    assert.equal(kindAt(1_000, throttle(throttled(1_000), deny())), 'open')
  })
})

describe('the gate of a deployment that is not reached, or loses its answers', () => {
  test('closes at the fifth fault in a row, for up to a second, and then is probed', () => {
    const fourFaults = [1, 2, 3, 4].reduce((gate) => fault(gate), OPEN)
    assert.equal(kindAt(0, fourFaults), 'open')
    assert.deepEqual([kindAt(999, fiveFaults), kindAt(1_000, fiveFaults)], ['closed', 'probe'])
  })

  test('begins to count anew when an answer comes between', () => {
    const answered = onLetIn([1, 2, 3, 4].reduce((gate) => fault(gate), OPEN))
    assert.equal(
      kindAt(
        0,
        [1, 2, 3, 4].reduce((gate) => fault(gate), answered),
      ),
      'open',
    )
  })

  test('closes again for longer with each probe that fails, up to 10 s', () => {
    let gate = fiveFaults
    for (const waitMs of [2_000, 4_000, 8_000, 10_000, 10_000]) {
      const at = gate.closedUntil
      gate = fault({ ...gate, isProbed: true }, at)
      assert.deepEqual([gate.closedUntil - at, gate.isProbed], [waitMs, false])
    }
  })

  test('is not closed for longer by requests that were under way when it closed', () => {
    assert.equal(fault(fiveFaults, START + 999).closedUntil, fiveFaults.closedUntil)
  })

  test('opens at the first answer', () => {
    assert.equal(kindAt(0, onLetIn(fiveFaults)), 'open')
  })
})

describe('the gate of a deployment that answers that it cannot serve requests now', () => {
  const unavailable = (retryAfterMs?: number): Failure => ({
    ...{ kind: 'unavailable', message: '503', httpStatus: 503 },
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  })
  const fail = (failure: Failure, gate = OPEN, at = START, jitter = 0) => onUnavailable(gate, failure, jitter, at)

  test('closes at once for as long as it asks, and then is probed by one request', () => {
    const gate = fail(unavailable(6_000))
    assert.deepEqual([kindAt(5_999, gate), kindAt(6_000, gate)], ['closed', 'probe'])
  })

  test('closes for up to a fifth longer, so that not all instances probe it at once', () => {
    assert.equal(fail(unavailable(6_000), OPEN, START, 1).closedUntil, START + 7_200)
  })

  test('closes for ten minutes at most', () => {
    assert.equal(fail(unavailable(3_600_000)).closedUntil, START + 600_000)
  })

  test('closes at the fifth in a row where it asks for no time, or for none', () => {
    for (const retryAfterMs of [undefined, 0]) {
      const four = [1, 2, 3, 4].reduce((gate) => fail(unavailable(retryAfterMs), gate), OPEN)
      assert.deepEqual([four.closings, fail(unavailable(retryAfterMs), four).closings], [0, 1])
    }
  })

  test('is closed by the longest of the times that requests under way together were told, and counts them once', () => {
    const gate = fail(unavailable(6_000), fail(unavailable(2_000)), START + 100)
    assert.deepEqual([gate.closedUntil, gate.closings], [START + 6_100, 1])
    assert.equal(fail(unavailable(1_000), gate, START + 200).closedUntil, START + 6_100)
  })

  test('is closed for what it answered, where only its quota had closed it before', () => {
    const gate = fail(unavailable(6_000), throttle(throttled(10_000)))
    assert.deepEqual([gate.closedUntil, gate.closings, gate.failure?.kind], [START + 10_000, 1, 'unavailable'])
  })

  test('is closed once more when the answer to its probe asks to wait', () => {
    const gate = fail(unavailable(6_000), { ...fail(unavailable(2_000)), isProbed: true }, START + 2_000)
    assert.deepEqual([gate.closedUntil, gate.closings, gate.isProbed], [START + 8_000, 2, false])
  })
})

test('a fault of the set-up is a refused token, a denied caller or a missing deployment', () => {
  assert.deepEqual(failureKinds.filter(isSetUpFault), ['unauthorized', 'forbidden', 'no_deployment'])
})

const large = { model: 'gpt-4o', endpoint: 'https://contoso.openai.azure.com', deployment: 'gpt-4o', priority: 1 }
const NAME = 'gpt-4o at contoso.openai.azure.com'
const ALL = '* at contoso.openai.azure.com'

function theGates() {
  const clock = { now: START }
  const heard: string[] = []
  const gates = createDeploymentGates(
    () => clock.now,
    () => 1,
    {
      closed: async (deployment, { kind }, nextTryAt) =>
        void heard.push(`${deployment}: ${kind}, ${nextTryAt - START}`),
      opened: async (deployment) => void heard.push(`${deployment} is open`),
    },
  )
  const carried: Promise<void>[] = []
  const learn = (failure: Failure | undefined, times = 1) => {
    for (let n = 0; n < times; n += 1) gates.learn(large, failure, (work) => void carried.push(work))
  }
  return { ...gates, clock, learn, heard, carried }
}

describe('the gates', () => {
  test("leave the others' open, of the same name in another resource too", () => {
    const { learn, enter } = theGates()
    learn(throttled(10_000))
    const others = [
      { ...large, deployment: 'gpt-4o-mini' },
      { ...large, endpoint: 'https://fabrikam.openai.azure.com' },
    ]
    assert.deepEqual(
      [large, ...others].map((deployment) => enter(deployment).isOpen),
      [false, true, true],
    )
  })

  test('let one job in to probe, and the next when that has ended without a sign', () => {
    const { clock, learn, enter } = theGates()
    learn(forbidden)
    clock.now += 60_000
    const probe = enter(large)
    assert.deepEqual([probe.isOpen, enter(large).isOpen], [true, false])
    if (probe.isOpen) probe.leave()
    assert.equal(enter(large).isOpen, true)
  })

  test('let the next job probe when the clock was set back before the probe failed', () => {
    for (const failure of [unreachable, { kind: 'unavailable', message: '503', retryAfterMs: 1_000 }] as const) {
      const { clock, learn, enter } = theGates()
      learn(unreachable, 5)
      clock.now += 1_200
      const probe = enter(large)
      clock.now -= 600
      learn(failure)
      if (probe.isOpen) probe.leave()
      clock.now += 3_000
      assert.equal(enter(large).isOpen, true, failure.kind)
    }
  })

  test('let everybody in when the probe is answered, and a late leave closes nothing', () => {
    const { clock, learn, enter } = theGates()
    learn(unreachable, 5)
    clock.now += 1_000
    const probe = enter(large)
    learn(undefined)
    if (probe.isOpen) probe.leave()
    assert.deepEqual([enter(large).isOpen, enter(large).isOpen], [true, true])
  })

  test('make those wait who are in already, only as long as the time runs', () => {
    const { clock, learn, waitMs } = theGates()
    learn(throttled(500))
    assert.equal(waitMs(large), 600)
    clock.now += 600
    assert.equal(waitMs(large), 0)
  })

  test('are heard of once for all that were denied together, carried by the first, and once when they open', () => {
    const { learn, heard, carried } = theGates()
    learn(forbidden, 1_000)
    assert.deepEqual([heard, carried.length], [[`${NAME}: forbidden, 60000`], 1])
    learn(undefined, 3)
    assert.deepEqual([heard.slice(1), carried.length], [[`${NAME} is open`], 2])
  })

  test('are heard of at the fifth fault in a row, and not for a quota', () => {
    const { learn, heard } = theGates()
    learn(throttled(1_000))
    learn(lost, 4)
    assert.deepEqual(heard, [])
    learn(unreachable)
    assert.deepEqual(heard, [`${NAME}: unreachable, 1200`])
  })

  test('of all deployments of a resource close where it refuses tokens, are probed by one job, and open together', () => {
    const { learn, heard, clock, enter } = theGates()
    const small = { ...large, deployment: 'gpt-4o-mini' }
    learn({ kind: 'unauthorized', message: 'refused' }, 100)
    assert.deepEqual([enter(large).isOpen, enter(small).isOpen, heard], [false, false, [`${ALL}: unauthorized, 60000`]])
    assert.equal(enter({ ...large, endpoint: 'https://fabrikam.openai.azure.com' }).isOpen, true)
    clock.now += 60_000
    assert.deepEqual([enter(small).isOpen, enter(large).isOpen], [true, false])
    learn(undefined)
    assert.deepEqual([enter(small).isOpen, enter(large).isOpen, heard.slice(1)], [true, true, [`${ALL} is open`]])
  })

  for (const [what, failure, isOpen] of [
    ['a 400 of the service itself', { kind: 'rejected', message: '400', fromService: true }, true],
    ['a 429 of the service itself', { kind: 'throttled', message: '429', fromService: true, retryAfterMs: 0 }, true],
    ['an answer that was too long', { kind: 'oversized', message: '200' }, true],
    ['a 400 of something before the service', { kind: 'rejected', message: '400' }, false],
    ['a 404', { kind: 'no_deployment', message: '404' }, false],
    ['a 503', { kind: 'unavailable', message: '503' }, false],
    ['a lost answer', lost, false],
  ] as const) {
    test(`of a resource that refused tokens ${isOpen ? 'open' : 'do not open'} for ${what}`, () => {
      const { learn, clock, heard } = theGates()
      learn({ kind: 'unauthorized', message: 'refused' })
      clock.now += 60_000
      learn(failure)
      assert.equal(heard.includes(`${ALL} is open`), isOpen)
    })
  }

  test('of a deployment that denied its caller stay half-open for a 400 of something before the service', () => {
    const { learn, clock, heard, enter } = theGates()
    learn(forbidden)
    clock.now += 60_000
    learn({ kind: 'rejected', message: '400' })
    assert.equal(heard.length, 1)
    assert.deepEqual([enter(large).isOpen, enter(large).isOpen], [true, false])
  })
})

describe('a 500', () => {
  const serverError: Failure = { kind: 'unavailable', message: '500', httpStatus: 500 }
  const kindsOf = (gates: ReturnType<typeof theGates>, jobs: readonly string[]) =>
    jobs.map((job) => gates.judge(large, serverError, job).kind)

  test('is the fault of the deployment where it answered no job yet', () => {
    assert.deepEqual(kindsOf(theGates(), ['a']), ['unavailable'])
  })

  test("is the job's own fault to the millisecond at which the last answer to another is a minute old", () => {
    const gates = theGates()
    gates.learn(undefined)
    gates.clock.now += 60_000
    assert.deepEqual(kindsOf(gates, ['a', 'a', 'a', 'a']), ['ambiguous', 'ambiguous', 'ambiguous', 'ambiguous'])
    gates.clock.now += 1
    assert.deepEqual(kindsOf(gates, ['a']), ['unavailable'])
  })

  test('is the fault of the deployment from the third job in a row on, until it answers one', () => {
    const gates = theGates()
    gates.learn(undefined)
    assert.deepEqual(kindsOf(gates, ['a', 'b', 'c', 'a']), ['ambiguous', 'ambiguous', 'unavailable', 'unavailable'])
    gates.learn(undefined)
    assert.deepEqual(kindsOf(gates, ['a']), ['ambiguous'])
  })

  test('is not the fault of the deployment because other jobs met a 503 or lost their answers', () => {
    const gates = theGates()
    gates.learn(undefined)
    for (const job of ['a', 'b', 'c']) {
      gates.judge(large, { ...serverError, httpStatus: 503 }, job)
      gates.judge(large, { ...lost, httpStatus: 500 }, job)
    }
    assert.deepEqual(kindsOf(gates, ['d']), ['ambiguous'])
  })

  test('is remembered of three jobs, however many meet one', () => {
    const jobs = Array.from({ length: 100 }, (_, n) => `${n}`)
    const after = jobs.reduce((answers, job) => judge(answers, serverError, job, START)[0], onAnswered(START))
    assert.equal(after.failed.size, 3)
  })

  test("is judged by the deployment's own answers, and not by another's; other failures stay as they are", () => {
    const gates = theGates()
    gates.learn(undefined)
    assert.deepEqual(gates.judge({ ...large, deployment: 'gpt-4o-mini' }, serverError, 'a'), serverError)
    const unserved: Failure = { ...serverError, httpStatus: 503 }
    assert.deepEqual([gates.judge(large, unserved, 'a'), gates.judge(large, lost, 'a')], [unserved, lost])
  })
})

const notFound: Failure = { kind: 'no_deployment', message: '404', code: 'DeploymentNotFound', hint: 'create it' }
const TEN_MINUTES_MS = 600_000

describe('a deployment that is missing', () => {
  test('is held back for up to 60 s and probed by one job, as one that denies its caller', () => {
    const { learn, enter, clock, heard } = theGates()
    learn(notFound, 100)
    assert.deepEqual([enter(large).isOpen, heard], [false, [`${NAME}: no_deployment, 60000`]])
    clock.now += 60_000
    assert.deepEqual([enter(large).isOpen, enter(large).isOpen], [true, false])
  })

  test('counts as missing until its next probe is due, and while that is under way, and no more once it answers', () => {
    const { learn, missing, enter, clock } = theGates()
    assert.equal(missing(large), undefined)
    learn({ ...notFound, missingForMs: TEN_MINUTES_MS })
    clock.now += 59_999
    assert.deepEqual(missing(large), { ...notFound, missingForMs: TEN_MINUTES_MS })
    clock.now += 1
    assert.equal(missing(large), undefined)
    enter(large)
    assert.deepEqual(missing(large), { ...notFound, missingForMs: 0 })
    learn(undefined)
    assert.equal(missing(large), undefined)
  })

  test('is not said to be missing by a circuit that something else opened', () => {
    const { learn, missing } = theGates()
    learn(forbidden)
    assert.equal(missing(large), undefined)
  })
})

describe('the deployment for a job', () => {
  const serve = (model: string, deployment: string) => ({
    model,
    deployment,
    endpoint: 'https://contoso.openai.azure.com',
    priority: 1,
  })
  const [first, small, second] = [serve('gpt-4o', 'first'), serve('gpt-4o-mini', 'small'), serve('gpt-4o', 'second')]
  const deployments = [first, small, second]
  const since = (missingForMs: number): Failure => ({ ...notFound, missingForMs })
  const whereMissing = (missing: Readonly<Record<string, Failure>>) => (each: typeof first) => missing[each.deployment]
  const chosen = (model: string | undefined, missing: Readonly<Record<string, Failure>> = {}) =>
    chooseDeployment(deployments, model, whereMissing(missing))?.deployment

  test('is the first that serves its model', () => {
    assert.equal(chosen('gpt-4o'), 'first')
    assert.equal(chosen('gpt-4o-mini'), 'small')
  })

  test('is the first of all when it names no model', () => {
    assert.equal(chosen(undefined), 'first')
  })

  test('is none for a model that nobody serves, be it the name of a deployment', () => {
    assert.equal(chosen('second'), undefined)
    assert.equal(chosen('GPT-4o'), undefined)
  })

  test('is the next of its model where the first is missing, and never one of another model', () => {
    assert.equal(chosen('gpt-4o', { first: since(0) }), 'second')
    assert.equal(chosen(undefined, { first: since(0) }), 'second')
    assert.equal(chosen('gpt-4o-mini', { small: since(0) }), 'small')
  })

  test('is one that is not known to be missing for good, where all are missing', () => {
    assert.equal(chosen('gpt-4o', { first: since(TEN_MINUTES_MS), second: since(TEN_MINUTES_MS - 1) }), 'second')
    assert.equal(chosen('gpt-4o', { first: since(TEN_MINUTES_MS), second: since(TEN_MINUTES_MS) }), 'first')
  })

  test('has others of its model unless they are all missing for ten minutes', () => {
    const isLast = (missing: Readonly<Record<string, Failure>>, of = first) =>
      areOthersMissing(deployments, of.model, of, whereMissing(missing))
    assert.equal(isLast({}), false)
    assert.equal(isLast({ second: since(TEN_MINUTES_MS - 1) }), false)
    assert.equal(isLast({ second: since(TEN_MINUTES_MS) }), true)
    assert.equal(isLast({}, small), true)
  })
})

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Deployment } from '../../shared/config/deployments.ts'
import { type Failure, failureKinds } from '../../shared/job/failures.ts'
import { judge, onAnswered } from '../../shared/models/answers.ts'
import {
  type Circuit,
  CLOSED,
  decideRequest,
  isSetUpFault,
  onAccepted,
  onDenied,
  onFault,
  onThrottled,
  onUnavailable,
} from '../../shared/models/circuit.ts'
import { createCircuits } from '../../shared/models/circuits.ts'
import { aDeployment } from '../support/deployment-builders.ts'

const START = Date.UTC(2026, 10, 24, 6)
const throttled = (retryAfterMs?: number): Failure => ({
  kind: 'throttled',
  message: 'quota used up',
  ...(retryAfterMs !== undefined && { retryAfterMs }),
})
const forbidden: Failure = { kind: 'forbidden', message: 'denied', code: 'PermissionDenied', hint: 'give the role' }
const lost: Failure = { kind: 'ambiguous', message: 'no whole answer came' }
const unreachable: Failure = { kind: 'unreachable', message: 'no connection' }

const kindAt = (ms: number, circuit: Circuit) => decideRequest(circuit, START + ms).kind
const throttle = (failure: Failure, circuit = CLOSED, at = START, jitter = 0) =>
  onThrottled(circuit, failure, jitter, at)
const deny = (circuit = CLOSED, at = START) => onDenied(circuit, forbidden, 1, at)
const fault = (circuit = CLOSED, at = START) => onFault(circuit, lost, 1, at)
/** A circuit after so many failures in a row. */
const times = (n: number, fail: (circuit: Circuit) => Circuit, from = CLOSED) =>
  Array.from({ length: n }).reduce<Circuit>((circuit) => fail(circuit), from)
const fiveFaults = times(5, fault)

describe('the circuit of a deployment whose quota is used up', () => {
  test('closes at the very millisecond that Azure named', () => {
    const circuit = throttle(throttled(500))
    assert.deepEqual(decideRequest(circuit, START + 499), { kind: 'refuse', forMs: 1, failure: throttled(1) })
    assert.deepEqual([kindAt(500, circuit), kindAt(501, circuit)], ['allow', 'allow'])
  })

  test('closes after a second where Azure named no time', () => {
    assert.equal(throttle(throttled()).openUntil, START + 1_000)
  })

  test('stays closed where Azure named a wait of zero', () => {
    assert.equal(kindAt(0, throttle(throttled(0), CLOSED, START, 0.5)), 'allow')
  })

  test('is open for ten minutes at most, however long Azure named', () => {
    for (const named of [600_000, 600_001, 3_600_000, Number.POSITIVE_INFINITY]) {
      assert.equal(throttle(throttled(named)).openUntil, START + 600_000)
    }
  })

  test('closes up to a fifth later, so that not all instances retry at once, and never earlier', () => {
    fc.assert(
      fc.property(fc.nat(60_000), fc.double({ min: 0, max: 1, noNaN: true }), (named, jitter) => {
        const waitMs = throttle(throttled(named), CLOSED, START, jitter).openUntil - START
        assert.ok(waitMs >= named && waitMs <= Math.ceil(named * 1.2), `${waitMs}`)
      }),
    )
  })

  test('is not closed earlier by a later, shorter throttle, nor by the answer to an earlier request', () => {
    const circuit = throttle(throttled(10_000))
    assert.equal(throttle(throttled(100), circuit, START + 1_000).openUntil, START + 10_000)
    assert.equal(onAccepted(circuit).openUntil, START + 10_000)
  })
})

describe('a circuit that nothing has opened', () => {
  test('allows requests, and no probe is under way', () => {
    assert.deepEqual(CLOSED, { openUntil: 0, faults: 0, trips: 0, isProbing: false })
    assert.equal(kindAt(0, CLOSED), 'allow')
  })

  test('allows requests without a failure, whatever its other fields are', () => {
    assert.equal(kindAt(0, { ...CLOSED, openUntil: START + 1, trips: 1 }), 'allow')
    assert.equal(kindAt(0, { ...CLOSED, trips: 1 }), 'allow')
  })
})

describe('the circuit of a deployment that denies its caller', () => {
  test('is open for up to 60 s, later for up to 5 min, and then half-open for one request at a time', () => {
    let circuit = CLOSED
    let at = START
    for (const waitMs of [60_000, 120_000, 240_000, 300_000, 300_000]) {
      circuit = deny(circuit, at)
      assert.equal(circuit.openUntil - at, waitMs)
      at += waitMs
      assert.equal(decideRequest(circuit, at - 1).kind, 'refuse')
      assert.equal(decideRequest(circuit, at).kind, 'probe')
    }
    assert.partialDeepStrictEqual(decideRequest({ ...circuit, isProbing: true }, at), {
      kind: 'refuse',
      forMs: undefined,
    })
  })

  test('counts the denials of requests that were under way together as one', () => {
    const circuit = deny()
    assert.equal(deny(circuit, START + 59_999), circuit)
  })

  test('is open for the denial, where only the quota had opened it before', () => {
    const circuit = deny(throttle(throttled(10_000)))
    assert.deepEqual([circuit.openUntil, circuit.trips, circuit.failure], [START + 60_000, 1, forbidden])
  })

  test('opens again at the first fault of its probe', () => {
    const circuit = fault({ ...deny(), isProbing: true }, START + 60_000)
    assert.deepEqual([circuit.trips, circuit.isProbing, circuit.failure], [2, false, lost])
  })

  test('closes when the deployment accepts a request, even if it throttles it', () => {
    assert.equal(onAccepted(deny()), CLOSED)
    assert.equal(kindAt(1_000, throttle(throttled(1_000), deny())), 'allow')
  })
})

describe('the circuit of a deployment that is not reached, or loses its answers', () => {
  test('opens at the fifth fault in a row, for up to a second, and then is half-open', () => {
    assert.equal(kindAt(0, times(4, fault)), 'allow')
    assert.deepEqual([kindAt(999, fiveFaults), kindAt(1_000, fiveFaults)], ['refuse', 'probe'])
  })

  test('counts from zero again after an answer', () => {
    const answered = onAccepted(times(4, fault))
    assert.equal(kindAt(0, times(4, fault, answered)), 'allow')
  })

  test('opens for longer after each probe that fails, up to 10 s', () => {
    let circuit = fiveFaults
    for (const waitMs of [2_000, 4_000, 8_000, 10_000, 10_000]) {
      const at = circuit.openUntil
      circuit = fault({ ...circuit, isProbing: true }, at)
      assert.deepEqual([circuit.openUntil - at, circuit.isProbing], [waitMs, false])
    }
  })

  test('is not open for longer because of requests that were under way when it opened', () => {
    assert.equal(fault(fiveFaults, START + 999).openUntil, fiveFaults.openUntil)
  })

  test('closes at the first answer', () => {
    assert.equal(kindAt(0, onAccepted(fiveFaults)), 'allow')
  })
})

describe('the circuit of a deployment that answers that it cannot serve requests now', () => {
  const unavailable = (retryAfterMs?: number): Failure => ({
    ...{ kind: 'unavailable', message: '503', httpStatus: 503 },
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  })
  const fail = (failure: Failure, circuit = CLOSED, at = START, jitter = 0) =>
    onUnavailable(circuit, failure, jitter, at)

  test('opens at once for as long as the answer asks, and then is half-open for one request', () => {
    const circuit = fail(unavailable(6_000))
    assert.deepEqual([kindAt(5_999, circuit), kindAt(6_000, circuit)], ['refuse', 'probe'])
  })

  test('opens for up to a fifth longer, so that not all instances probe it at once', () => {
    assert.equal(fail(unavailable(6_000), CLOSED, START, 1).openUntil, START + 7_200)
  })

  test('opens for ten minutes at most', () => {
    assert.equal(fail(unavailable(3_600_000)).openUntil, START + 600_000)
  })

  test('opens at the fifth answer in a row that names no wait, or a wait of zero', () => {
    for (const retryAfterMs of [undefined, 0]) {
      const four = times(4, (circuit) => fail(unavailable(retryAfterMs), circuit))
      assert.deepEqual([four.trips, fail(unavailable(retryAfterMs), four).trips], [0, 1])
    }
  })

  test('is open for the longest wait that requests under way together were asked for, and counts them once', () => {
    const circuit = fail(unavailable(6_000), fail(unavailable(2_000)), START + 100)
    assert.deepEqual([circuit.openUntil, circuit.trips], [START + 6_100, 1])
    assert.equal(fail(unavailable(1_000), circuit, START + 200).openUntil, START + 6_100)
  })

  test('is open for the answer, where only the quota had opened it before', () => {
    const circuit = fail(unavailable(6_000), throttle(throttled(10_000)))
    assert.deepEqual([circuit.openUntil, circuit.trips, circuit.failure?.kind], [START + 10_000, 1, 'unavailable'])
  })

  test('opens once more when the answer to its probe asks to wait', () => {
    const circuit = fail(unavailable(6_000), { ...fail(unavailable(2_000)), isProbing: true }, START + 2_000)
    assert.deepEqual([circuit.openUntil, circuit.trips, circuit.isProbing], [START + 8_000, 2, false])
  })
})

test('a fault of the set-up is a refused token, a denied caller or a missing deployment', () => {
  assert.deepEqual(failureKinds.filter(isSetUpFault), ['unauthorized', 'forbidden', 'no_deployment'])
})

const large = aDeployment({ deployment: 'gpt-4o' })
const elsewhere = aDeployment({ ...large, endpoint: 'https://fabrikam.openai.azure.com', name: 'gpt-4o elsewhere' })
const NAME = 'gpt-4o'
const ALL = '* at contoso.openai.azure.com'

function theCircuits() {
  const clock = { now: START }
  const reports: string[] = []
  const circuits = createCircuits(
    () => clock.now,
    () => 1,
    {
      opened: async (deployment, { kind }, nextTryAt) =>
        void reports.push(`${deployment}: ${kind}, ${nextTryAt - START}`),
      closed: async (deployment) => void reports.push(`${deployment} is closed`),
    },
  )
  const background: Promise<void>[] = []
  const learn = (failure: Failure | undefined, times = 1) => {
    for (let n = 0; n < times; n += 1) circuits.learn(large, failure, (work) => void background.push(work))
  }
  /** Whether the circuits allow a request to each of these in turn. */
  const allow = (...to: readonly Deployment[]) => to.map((deployment) => circuits.enter(deployment).isAllowed)
  return { ...circuits, clock, learn, allow, reports, background }
}

describe('the circuits', () => {
  test('of other deployments stay closed, also of one that another resource calls the same', () => {
    const { learn, allow } = theCircuits()
    learn(throttled(10_000))
    assert.deepEqual(allow(large, aDeployment({ deployment: 'gpt-4o-mini' }), elsewhere), [false, true, true])
  })

  test('allow one job to probe, and the next when that job has ended without a result', () => {
    const { clock, learn, enter } = theCircuits()
    learn(forbidden)
    clock.now += 60_000
    const probe = enter(large)
    assert.deepEqual([probe.isAllowed, enter(large).isAllowed], [true, false])
    if (probe.isAllowed) probe.leave()
    assert.equal(enter(large).isAllowed, true)
  })

  test('allow the next job to probe when the clock was set back before the probe failed', () => {
    for (const failure of [unreachable, { kind: 'unavailable', message: '503', retryAfterMs: 1_000 }] as const) {
      const { clock, learn, enter } = theCircuits()
      learn(unreachable, 5)
      clock.now += 1_200
      const probe = enter(large)
      clock.now -= 600
      learn(failure)
      if (probe.isAllowed) probe.leave()
      clock.now += 3_000
      assert.equal(enter(large).isAllowed, true, failure.kind)
    }
  })

  test('allow every job when the probe is answered, and a late leave opens nothing', () => {
    const { clock, learn, enter } = theCircuits()
    learn(unreachable, 5)
    clock.now += 1_000
    const probe = enter(large)
    learn(undefined)
    if (probe.isAllowed) probe.leave()
    assert.deepEqual([enter(large).isAllowed, enter(large).isAllowed], [true, true])
  })

  test('delay jobs that were allowed before they opened, until they close', () => {
    const { clock, learn, waitMs } = theCircuits()
    learn(throttled(500))
    assert.equal(waitMs(large), 600)
    clock.now += 600
    assert.equal(waitMs(large), 0)
  })

  test('report once that they open for requests denied together, on the first one, and once that they close', () => {
    const { learn, reports, background } = theCircuits()
    learn(forbidden, 1_000)
    assert.deepEqual([reports, background.length], [[`${NAME}: forbidden, 60000`], 1])
    learn(undefined, 3)
    assert.deepEqual([reports.slice(1), background.length], [[`${NAME} is closed`], 2])
  })

  test('report that they open at the fifth fault in a row, and not for a quota', () => {
    const { learn, reports } = theCircuits()
    learn(throttled(1_000))
    learn(lost, 4)
    assert.deepEqual(reports, [])
    learn(unreachable)
    assert.deepEqual(reports, [`${NAME}: unreachable, 1200`])
  })

  test('of all deployments of a resource open where it refuses tokens, are probed by one job, and close together', () => {
    const { learn, reports, clock, allow } = theCircuits()
    const small = aDeployment({ deployment: 'gpt-4o-mini' })
    learn({ kind: 'unauthorized', message: 'refused' }, 100)
    assert.deepEqual(allow(large, small, elsewhere), [false, false, true])
    assert.deepEqual(reports, [`${ALL}: unauthorized, 60000`])
    clock.now += 60_000
    assert.deepEqual(allow(small, large), [true, false])
    learn(undefined)
    assert.deepEqual([allow(small, large), reports.slice(1)], [[true, true], [`${ALL} is closed`]])
  })

  for (const [what, failure, closes] of [
    ['a 400 of the service itself', { kind: 'rejected', message: '400', fromService: true }, true],
    ['a 429 of the service itself', { kind: 'throttled', message: '429', fromService: true, retryAfterMs: 0 }, true],
    ['an answer that was too long', { kind: 'oversized', message: '200' }, true],
    ['a 400 of something before the service', { kind: 'rejected', message: '400' }, false],
    ['a 404', { kind: 'no_deployment', message: '404' }, false],
    ['a 503', { kind: 'unavailable', message: '503' }, false],
    ['a lost answer', lost, false],
  ] as const) {
    test(`of a resource that refused tokens ${closes ? 'close' : 'do not close'} for ${what}`, () => {
      const { learn, clock, reports } = theCircuits()
      learn({ kind: 'unauthorized', message: 'refused' })
      clock.now += 60_000
      learn(failure)
      assert.equal(reports.includes(`${ALL} is closed`), closes)
    })
  }

  test('of a deployment that denied its caller stay half-open for a 400 of something before the service', () => {
    const { learn, clock, reports, enter } = theCircuits()
    learn(forbidden)
    clock.now += 60_000
    learn({ kind: 'rejected', message: '400' })
    assert.equal(reports.length, 1)
    assert.deepEqual([enter(large).isAllowed, enter(large).isAllowed], [true, false])
  })
})

describe('a 500', () => {
  const serverError: Failure = { kind: 'unavailable', message: '500', httpStatus: 500 }
  const kindsOf = (circuits: ReturnType<typeof theCircuits>, jobs: readonly string[]) =>
    jobs.map((job) => circuits.judge(large, serverError, job).kind)

  test('is the fault of the deployment where it answered no job yet', () => {
    assert.deepEqual(kindsOf(theCircuits(), ['a']), ['unavailable'])
  })

  test("is the job's own fault to the millisecond at which the last answer to another is a minute old", () => {
    const circuits = theCircuits()
    circuits.learn(undefined)
    circuits.clock.now += 60_000
    assert.deepEqual(kindsOf(circuits, ['a', 'a', 'a', 'a']), ['ambiguous', 'ambiguous', 'ambiguous', 'ambiguous'])
    circuits.clock.now += 1
    assert.deepEqual(kindsOf(circuits, ['a']), ['unavailable'])
  })

  test('is the fault of the deployment from the third job in a row on, until it answers one', () => {
    const circuits = theCircuits()
    circuits.learn(undefined)
    assert.deepEqual(kindsOf(circuits, ['a', 'b', 'c', 'a']), ['ambiguous', 'ambiguous', 'unavailable', 'unavailable'])
    circuits.learn(undefined)
    assert.deepEqual(kindsOf(circuits, ['a']), ['ambiguous'])
  })

  test('is not the fault of the deployment because other jobs met a 503 or lost their answers', () => {
    const circuits = theCircuits()
    circuits.learn(undefined)
    for (const job of ['a', 'b', 'c']) {
      circuits.judge(large, { ...serverError, httpStatus: 503 }, job)
      circuits.judge(large, { ...lost, httpStatus: 500 }, job)
    }
    assert.deepEqual(kindsOf(circuits, ['d']), ['ambiguous'])
  })

  test('is kept for three jobs, however many meet one', () => {
    const jobs = Array.from({ length: 100 }, (_, n) => `${n}`)
    const after = jobs.reduce((answers, job) => judge(answers, serverError, job, START)[0], onAnswered(START))
    assert.equal(after.failed.size, 3)
  })

  test("is judged by the deployment's own answers, and not by another's; other failures stay as they are", () => {
    const circuits = theCircuits()
    circuits.learn(undefined)
    assert.deepEqual(circuits.judge(aDeployment({ deployment: 'gpt-4o-mini' }), serverError, 'a'), serverError)
    const unserved: Failure = { ...serverError, httpStatus: 503 }
    assert.deepEqual([circuits.judge(large, unserved, 'a'), circuits.judge(large, lost, 'a')], [unserved, lost])
  })
})

const notFound: Failure = { kind: 'no_deployment', message: '404', code: 'DeploymentNotFound', hint: 'create it' }
const TEN_MINUTES_MS = 600_000

describe('a deployment that is missing', () => {
  test('opens its circuit for up to 60 s and is probed by one job, as one that denies its caller', () => {
    const { learn, enter, clock, reports } = theCircuits()
    learn(notFound, 100)
    assert.deepEqual([enter(large).isAllowed, reports], [false, [`${NAME}: no_deployment, 60000`]])
    clock.now += 60_000
    assert.deepEqual([enter(large).isAllowed, enter(large).isAllowed], [true, false])
  })

  test('counts as missing until its next probe is due, and while that is under way, and no more once it answers', () => {
    const { learn, missing, enter, clock } = theCircuits()
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

  test('does not count as missing where something else opened its circuit', () => {
    const { learn, missing } = theCircuits()
    learn(forbidden)
    assert.equal(missing(large), undefined)
  })
})

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Failure } from '../../shared/job/failures.ts'
import { chooseDeployment } from '../../worker/model/choose-deployment.ts'
import { createDeploymentGates } from '../../worker/model/deployment-gates.ts'

const START = Date.UTC(2026, 10, 24, 6)
const large = { model: 'gpt-4o', endpoint: 'https://contoso.openai.azure.com', deployment: 'gpt-4o', priority: 1 }
const small = { ...large, deployment: 'gpt-4o-mini' }
const elsewhere = { ...large, endpoint: 'https://fabrikam.openai.azure.com' }
const throttled = (retryAfterMs?: number): Failure => ({
  kind: 'throttled',
  message: 'quota used up',
  ...(retryAfterMs !== undefined && { retryAfterMs }),
})
const forbidden: Failure = { kind: 'forbidden', message: 'denied', code: 'PermissionDenied', hint: 'give the role' }

function theGates(random = 0) {
  const clock = { now: START }
  const heard: string[] = []
  const gates = createDeploymentGates(
    () => clock.now,
    () => random,
    {
      denied: async (deployment, { hint }, nextTryAt) =>
        void heard.push(`${deployment}: ${hint}, ${nextTryAt - START}`),
      letIn: async (deployment) => void heard.push(`${deployment} lets in`),
    },
  )
  const carried: Promise<void>[] = []
  const waitUntil = (work: Promise<void>) => void carried.push(work)
  const opensInMs = (deployment = large) => gates.closed(deployment)?.forMs ?? 0
  return { ...gates, clock, opensInMs, heard, carried, waitUntil }
}

describe('the gate of a deployment', () => {
  test('is open until something closes it', () => {
    assert.equal(theGates().closed(large), undefined)
  })

  test('opens at the very millisecond that Azure named', () => {
    const { clock, close, opensInMs } = theGates()
    close(large, throttled(500))
    clock.now = START + 499
    assert.equal(opensInMs(), 1)
    clock.now = START + 500
    assert.equal(opensInMs(), 0)
    clock.now = START + 501
    assert.equal(opensInMs(), 0)
  })

  test('tells what closed it, and for how long it will be', () => {
    const { close, closed } = theGates()
    close(large, throttled(500))
    assert.deepEqual(closed(large), { forMs: 500, failure: throttled(500) })
  })

  test('opens after a second where Azure named no time', () => {
    const { close, opensInMs } = theGates()
    close(large, throttled())
    assert.equal(opensInMs(), 1_000)
  })

  test('stays open where Azure named no time to wait but zero', () => {
    const { close, opensInMs } = theGates(0.5)
    close(large, throttled(0))
    assert.equal(opensInMs(), 0)
  })

  test('is closed for a minute at most, however long Azure named', () => {
    for (const named of [60_000, 60_001, 3_600_000, Number.POSITIVE_INFINITY]) {
      const { close, opensInMs } = theGates()
      close(large, throttled(named))
      assert.equal(opensInMs(), 60_000)
    }
  })

  test('opens up to a fifth later, so that not all instances come back at once, and never earlier', () => {
    fc.assert(
      fc.property(fc.nat(60_000), fc.double({ min: 0, max: 1, noNaN: true }), (named, random) => {
        const { close, opensInMs } = theGates(random)
        close(large, throttled(named))
        const waitMs = opensInMs()
        assert.ok(waitMs >= named && waitMs <= Math.ceil(named * 1.2), `${waitMs}`)
      }),
    )
  })

  test('is not opened earlier by a later, shorter throttle', () => {
    const { clock, close, opensInMs } = theGates()
    close(large, throttled(10_000))
    clock.now = START + 1_000
    close(large, throttled(100))
    assert.equal(opensInMs(), 9_000)
  })

  test("leaves the others' alone, of the same name in another resource too", () => {
    const { close, opensInMs } = theGates()
    close(large, throttled(10_000))
    assert.deepEqual([opensInMs(small), opensInMs(elsewhere)], [0, 0])
  })
})

describe('a deployment that denies its caller', () => {
  test('is closed for up to 60 s, then for up to 5 min', () => {
    const { clock, close, opensInMs } = theGates(1)
    for (const waitMs of [60_000, 120_000, 240_000, 300_000, 300_000]) {
      close(large, forbidden)
      assert.equal(opensInMs(), waitMs)
      clock.now += waitMs
    }
  })

  test('is heard of once for all requests that were under way together, and carried by the first', async () => {
    const { close, heard, carried, waitUntil } = theGates(1)
    for (let jobs = 0; jobs < 1_000; jobs += 1) close(large, forbidden, waitUntil)
    assert.deepEqual([heard, carried.length], [['gpt-4o at contoso.openai.azure.com: give the role, 60000'], 1])
  })

  test('is heard of again when it lets its caller in, once, and a later denial is a first one', () => {
    const { clock, close, letIn, heard, waitUntil, opensInMs } = theGates(1)
    close(large, forbidden, waitUntil)
    clock.now += 60_000
    for (let jobs = 0; jobs < 3; jobs += 1) letIn(large, waitUntil)
    assert.deepEqual(heard.slice(1), ['gpt-4o at contoso.openai.azure.com lets in'])
    close(large, forbidden, waitUntil)
    assert.equal(opensInMs(), 60_000)
  })

  test('lets its caller in when it throttles it', () => {
    const { close, heard, waitUntil } = theGates()
    close(large, forbidden, waitUntil)
    close(large, throttled(1_000), waitUntil)
    assert.equal(heard.at(-1), 'gpt-4o at contoso.openai.azure.com lets in')
  })

  test('that never denied anybody is not heard of', () => {
    const { letIn, heard, waitUntil } = theGates()
    letIn(large, waitUntil)
    assert.deepEqual(heard, [])
  })
})

describe('the deployment for a job', () => {
  const serve = (model: string, deployment: string) => ({
    model,
    deployment,
    endpoint: 'https://contoso.openai.azure.com',
    priority: 1,
  })
  const deployments = [serve('gpt-4o', 'first'), serve('gpt-4o-mini', 'small'), serve('gpt-4o', 'second')]
  const chosen = (model: string | undefined) => chooseDeployment(deployments, model)?.deployment

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
})

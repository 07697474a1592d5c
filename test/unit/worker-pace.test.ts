import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { chooseDeployment } from '../../worker/model/choose-deployment.ts'
import { createThrottleGates } from '../../worker/model/throttle-gates.ts'

const START = Date.UTC(2026, 10, 24, 6)

function gates(random = 0) {
  const clock = { now: START }
  return {
    clock,
    ...createThrottleGates(
      () => clock.now,
      () => random,
    ),
  }
}

describe('the gate of a deployment', () => {
  test('is open until a throttle closes it', () => {
    assert.equal(gates().opensInMs('gpt-4o'), 0)
  })

  test('opens at the very millisecond that Azure named', () => {
    const { clock, close, opensInMs } = gates()
    close('gpt-4o', 500)
    clock.now = START + 499
    assert.equal(opensInMs('gpt-4o'), 1)
    clock.now = START + 500
    assert.equal(opensInMs('gpt-4o'), 0)
    clock.now = START + 501
    assert.equal(opensInMs('gpt-4o'), 0)
  })

  test('opens after a second where Azure named no time', () => {
    const { close, opensInMs } = gates()
    close('gpt-4o', undefined)
    assert.equal(opensInMs('gpt-4o'), 1_000)
  })

  test('stays open where Azure named no time to wait but zero', () => {
    const { close, opensInMs } = gates(0.5)
    close('gpt-4o', 0)
    assert.equal(opensInMs('gpt-4o'), 0)
  })

  test('is closed for a minute at most, however long Azure named', () => {
    for (const named of [60_000, 60_001, 3_600_000, Number.POSITIVE_INFINITY]) {
      const { close, opensInMs } = gates()
      close('gpt-4o', named)
      assert.equal(opensInMs('gpt-4o'), 60_000)
    }
  })

  test('opens up to a fifth later, so that not all instances come back at once, and never earlier', () => {
    fc.assert(
      fc.property(fc.nat(60_000), fc.double({ min: 0, max: 1, noNaN: true }), (named, random) => {
        const { close, opensInMs } = gates(random)
        close('gpt-4o', named)
        const waitMs = opensInMs('gpt-4o')
        assert.ok(waitMs >= named && waitMs <= Math.ceil(named * 1.2), `${waitMs}`)
      }),
    )
  })

  test('is not opened earlier by a later, shorter throttle', () => {
    const { clock, close, opensInMs } = gates()
    close('gpt-4o', 10_000)
    clock.now = START + 1_000
    close('gpt-4o', 100)
    assert.equal(opensInMs('gpt-4o'), 9_000)
  })

  test("leaves the others' alone", () => {
    const { close, opensInMs } = gates()
    close('gpt-4o', 10_000)
    assert.equal(opensInMs('gpt-4o-mini'), 0)
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

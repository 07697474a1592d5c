import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Call } from '../../../local/call-log.ts'
import { START } from '../../support/job-builders.ts'
import type { Fault } from './faults.ts'
import type { PlannedFault } from './plan.ts'
import { type Happened, shortfalls, tally } from './tally.ts'

const hang: Fault = { on: 'azure', kind: 'hang', scripts: [{ kind: 'hang' }] }
const kill: Fault = { on: 'worker', kind: 'kill' }
const lost: Fault = { on: 'push', kind: 'lost ack', script: { kind: 'lose-ack' } }
const forged: Fault = { on: 'push', kind: 'forged token', script: { kind: 'forge-token', token: 'none' } }
const twice: Fault = { on: 'push', kind: 'duplicates', script: { kind: 'duplicate', rate: 1 } }

function planOf(...faults: readonly Fault[]): readonly PlannedFault[] {
  return faults.map((fault, n) => ({ name: `chaos-${n + 1}`, atMs: n, worker: 0, fault }))
}

function aCall(detail: Call['detail'], status: number | null = 200): Call {
  return { id: 1, at: START, service: 'any', operation: 'any', status, durationMs: 0, detail }
}

function aPush(deliveryAttempt: number, acked: boolean, over: Call['detail'] = {}, status = acked ? 204 : 503): Call {
  return aCall({ messageId: '1', deliveryAttempt, acked, duplicate: false, ...over }, status)
}

const nothing: Omit<Happened, 'plan'> = { inflicted: new Set(), calls: [], pushes: [] }
const tookPlace = (fault: Fault, happened: Partial<Happened>) =>
  tally({ ...nothing, plan: planOf(fault), ...happened })[0]?.tookPlace

describe('a fault took place', () => {
  test('of a stand-in, when its call log has it by its name', () => {
    assert.equal(tookPlace(hang, { calls: [aCall({ fault: 'chaos-1' }, null), aCall({ fault: 'chaos-1' }, null)] }), 1)
    assert.equal(tookPlace(hang, { calls: [aCall({ fault: 'chaos-2' }, null)], inflicted: new Set(['chaos-1']) }), 0)
  })

  test('of a process, when it was inflicted', () => {
    assert.equal(tookPlace(kill, { inflicted: new Set(['chaos-1']) }), 1)
    assert.equal(tookPlace(kill, {}), 0)
  })

  test('of a lost acknowledgement, when an acknowledged message was redelivered', () => {
    assert.equal(tookPlace(lost, { pushes: [aPush(1, true), aPush(2, true)] }), 1)
    assert.equal(tookPlace(lost, { pushes: [aPush(1, false), aPush(2, true)] }), 0)
    assert.equal(tookPlace(lost, { pushes: [aPush(1, true), aPush(1, true, { duplicate: true })] }), 0)
    assert.equal(tookPlace(lost, { pushes: [aPush(1, true), aPush(2, true, { messageId: '2' })] }), 0)
  })

  test('of a forged token, when it was refused', () => {
    assert.equal(
      tookPlace(forged, { pushes: [aPush(1, false, {}, 401), aPush(2, false, {}, 403), aPush(3, false)] }),
      2,
    )
  })

  test('of duplicates, when there were some', () => {
    assert.equal(tookPlace(twice, { pushes: [aPush(1, true), aPush(1, true, { duplicate: true })] }), 1)
  })
})

test('less than half of what was planned is a shortfall, and more is none', () => {
  const plan = planOf(hang, hang, hang, kill)
  const calls = [aCall({ fault: 'chaos-1' }, null)]
  const tallies = tally({ ...nothing, plan, calls, inflicted: new Set(['chaos-4']) })
  assert.deepEqual(shortfalls(tallies), ['only 1 of 3 took place: azure: hang'])
  assert.deepEqual(shortfalls([{ kind: 'azure: hang', planned: 2, tookPlace: 1 }]), [])
  assert.deepEqual(shortfalls([{ kind: 'push: duplicates', planned: 1, tookPlace: 7 }]), [])
})

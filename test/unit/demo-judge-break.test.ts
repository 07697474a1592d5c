import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Break } from '../../cli/demo/breaks.ts'
import { judgeBreak, type ScenarioResult } from '../../cli/demo/judge-break.ts'
import { aTokenFailure } from '../support/telemetry-builders.ts'

const broken: Break = {
  story: 'The subject is wrong.',
  fails: ['Entra'],
  fix: /Set Subject to \d+/,
  leg: 'entra_exchange',
  exchanges: [1, 3],
}
const found: ScenarioResult = {
  jobs: 4,
  waiting: 4,
  deadLettered: 0,
  paidCalls: 0,
  exchanges: 3,
  failures: [aTokenFailure({ leg: 'entra_exchange', hint: 'Set Subject to 1045.' })],
  isWorkerStarted: true,
  doctor: { code: 1, output: '✓ settings  fine\n✗ Entra  refused\n    to do     Set Subject to 1045.\n' },
}

test('demo break: nothing is wrong where the jobs wait, and doctor and telemetry show the fix', () => {
  assert.deepEqual(judgeBreak(broken, found), [])
})

describe('demo break reports', () => {
  const cases: readonly (readonly [string, Partial<Break>, Partial<ScenarioResult>, RegExp])[] = [
    ['that a job is lost', {}, { waiting: 3 }, /^3 of 4 jobs wait, expected 4$/],
    ['that a job is dead-lettered', {}, { deadLettered: 1 }, /^1 jobs are dead-lettered$/],
    ['that a call was paid', {}, { paidCalls: 1 }, /^1 model calls were paid$/],
    ['that Entra was asked too often', {}, { exchanges: 4 }, /^Entra received 4 token requests, expected 1 to 3$/],
    ['that Entra was not asked', {}, { exchanges: 0 }, /^Entra received 0 token requests/],
    ['that the worker did not start', {}, { isWorkerStarted: false }, /^the worker did not start$/],
    ['that it started all the same', { isRefusedAtStart: true }, {}, /^the worker started$/],
    ['that telemetry is silent', {}, { failures: [] }, /^tokenFailures has no failure of entra_exchange$/],
    [
      'that telemetry shows another fix',
      {},
      { failures: [aTokenFailure({ leg: 'entra_exchange', hint: 'x' })] },
      /fix$/,
    ],
    [
      'that the doctor found nothing',
      {},
      { doctor: { ...found.doctor, code: 0 } },
      /^the doctor ended with 0, expected 1$/,
    ],
    ['that it failed elsewhere', { fails: ['store'] }, {}, /^the doctor failed at: Entra; expected: store$/],
    [
      'that the doctor does not show the fix',
      {},
      { doctor: { code: 1, output: '✗ Entra  refused\n' } },
      /^the doctor does not print/,
    ],
  ]
  for (const [what, otherBreak, otherFound, problem] of cases) {
    test(what, () => {
      const problems = judgeBreak({ ...broken, ...otherBreak }, { ...found, ...otherFound })
      assert.equal(problems.length, 1, problems.join('; '))
      assert.match(problems[0] ?? '', problem)
    })
  }
})

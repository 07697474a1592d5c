import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeStep, describeVerdict } from '../../cli/doctor/print-step.ts'
import { type Step, startChecks } from '../../cli/doctor/step.ts'

const failed: Step = {
  step: 'Entra',
  ok: false,
  seen: 'refused',
  expected: 'a token',
  fix: 'Set Subject.\nThen wait.',
}

test('doctor: a step is reported as soon as its result is known, and passes its value to the next ones', async () => {
  const heard: Step[] = []
  const checks = startChecks((step) => heard.push(step))
  assert.equal(await checks.run('one', async () => ({ ok: true, seen: 'fine', value: 7 })), 7)
  assert.deepEqual(heard, [{ step: 'one', ok: true, seen: 'fine', expected: null, fix: null }])
  assert.deepEqual(checks.steps, heard)
})

test('doctor: a check that hangs fails at its deadline', async () => {
  const checks = startChecks(() => undefined, 20)
  assert.equal(await checks.run('one', () => new Promise(() => undefined)), undefined)
  assert.partialDeepStrictEqual(checks.steps, [{ ok: false, seen: 'no answer within 0.02 s' }])
})

test('doctor: a check that throws fails, and the text of its error is not repeated', async () => {
  const checks = startChecks(() => undefined)
  const error = Object.assign(new TypeError('canary'), { code: 'EPERM' })
  await checks.run('one', () => Promise.reject(error))
  assert.equal(checks.steps[0]?.seen, 'the check itself failed: TypeError EPERM')
  assert.doesNotMatch(JSON.stringify(checks.steps), /canary/)
})

test('a step is printed with how to fix it below, a line each', () => {
  assert.equal(
    describeStep(failed),
    '✗ Entra  refused\n    expected  a token\n    to do     Set Subject.\n              Then wait.\n',
  )
})

test('what others wrote cannot steer the terminal or forge a line', () => {
  const evil = 'x\n✓ Entra  fine\x1b[2J\u202e'
  const printed = describeStep({ step: evil, ok: false, seen: evil, expected: evil, fix: 'a\x1b[2J' })
  assert.equal(printed.split('\n').length, 4)
  assert.ok(!printed.includes('\x1b') && !printed.includes('\u202e'))
})

test('the last line names what failed', () => {
  const skipped = { ...failed, step: 'store', ok: null, fix: null }
  assert.match(describeVerdict([failed, skipped]), /^\nTo fix: Entra\.\n$/)
  assert.match(describeVerdict([{ ...failed, ok: true }]), /All checks passed/)
})

test('a warning has a mark and its fix, and is named before the last line', () => {
  const warning: Step = { ...failed, step: 'callers', ok: null }
  assert.equal(
    describeStep(warning),
    '! callers  refused\n    expected  a token\n    to do     Set Subject.\n              Then wait.\n',
  )
  assert.equal(describeVerdict([warning]), '\nCheck: callers.\n\nAll other checks passed.\n')
  assert.equal(describeVerdict([failed, warning]), '\nCheck: callers.\n\nTo fix: Entra.\n')
})

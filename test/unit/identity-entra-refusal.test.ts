import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { readEntraRefusal } from '../../shared/identity/entra-refusal.ts'

const whole = {
  error: 'invalid_client',
  error_description: 'AADSTS700024: Client assertion is not within its valid time range. Trace ID: t',
  error_codes: [700_024],
  correlation_id: 'c0ffee',
}
const read = { code: 'invalid_client', aadsts: [700_024], correlationId: 'c0ffee' }
const refusal = (over: object) => readEntraRefusal({ ...whole, ...over })

describe("one odd field of Entra's answer does not lose the others", () => {
  const odd: readonly unknown[] = [undefined, null, '', 7, true, [], {}, { toString: 1 }, 'a b', 'x'.repeat(101)]
  for (const value of odd) {
    const { code: _, ...withoutCode } = read
    const { correlationId: __, ...withoutId } = read
    const shown = String(JSON.stringify(value)).slice(0, 20)
    test(`error ${shown}`, () => assert.deepEqual(refusal({ error: value }), withoutCode))
    test(`correlation_id ${shown}`, () => assert.deepEqual(refusal({ correlation_id: value }), withoutId))
    test(`error_codes ${shown}: the number is that of the text`, () =>
      assert.deepEqual(refusal({ error_codes: value }), read))
    test(`error_description ${shown}`, () => assert.deepEqual(refusal({ error_description: value }), read))
  }

  const codes: readonly (readonly [string, unknown, readonly number[]])[] = [
    ['as text', ['700024'], [700_024]],
    ['as text with its prefix', ['AADSTS700024'], [700_024]],
    ['mixed, and some of them odd', ['50166', 90_033, null, {}, -1, 1.5, 'x', '9'.repeat(11)], [50_166, 90_033]],
    ['as one number', 50_166, [50_166]],
    ['as one text', '50166', [50_166]],
    ['more than anybody sends', Array.from({ length: 100 }, () => 50_166), Array.from({ length: 20 }, () => 50_166)],
  ]
  for (const [what, error_codes, aadsts] of codes) {
    test(`error_codes ${what}`, () => assert.deepEqual(refusal({ error_codes }), { ...read, aadsts }))
  }

  test('without any number, none is made up', () => {
    assert.deepEqual(readEntraRefusal({ error: 'invalid_client', error_description: 'see AADSTS700024' }), {
      code: 'invalid_client',
    })
  })
})

describe("an issuer's keys that Entra could not read are known by the text", () => {
  for (const text of [
    'AADSTS50166: Request to External OIDC endpoint failed.\r\nTrace ID: 0',
    'AADSTS90061: request to external OIDC endpoint failed',
    'Request to External OIDC endpoint failed.',
  ]) {
    test(JSON.stringify(text), () => {
      assert.equal(refusal({ error_description: text }).keysUnreadable, true)
    })
  }

  test('but not far behind in a long text, which is not searched', () => {
    const error_description = `${' '.repeat(2_000)}Request to External OIDC endpoint failed.`
    assert.equal(refusal({ error_description }).keysUnreadable, undefined)
  })
})

test('whatever comes is read without an error, and nothing of the description is kept', () => {
  const body = fc.oneof(
    fc.jsonValue(),
    fc.record({ error: fc.jsonValue(), error_codes: fc.jsonValue(), correlation_id: fc.jsonValue() }),
  )
  fc.assert(
    fc.property(body, (answer) => {
      const { aadsts = [], ...rest } = readEntraRefusal(answer)
      assert.ok(aadsts.every((number) => Number.isSafeInteger(number) && number > 0))
      assert.ok(Object.values(rest).every((value) => /^[\w.-]{1,100}$/.test(String(value))))
    }),
  )
  assert.doesNotMatch(JSON.stringify(refusal({ error_description: 'AADSTS50166: secret' })), /secret/)
})

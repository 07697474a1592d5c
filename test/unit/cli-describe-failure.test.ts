import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeFailure } from '../../cli/token/describe-failure.ts'
import { tokenLegs } from '../../shared/job/token-leg.ts'
import { START } from '../support/job-builders.ts'
import { aTokenFailure } from '../support/telemetry-builders.ts'

const lines = (over: Parameters<typeof aTokenFailure>[0]) => describeFailure(aTokenFailure(over)).split('\n')

test('failure text: an episode that is over is described from its first failure to its recovery', () => {
  assert.deepEqual(lines({ deployment: undefined }), [
    '2026-11-24T06:00:00Z until 2026-11-24T06:01:30Z',
    'kind      configuration: it must be fixed',
    'where     Entra gave no access token for the ID token',
    'seen      no federated credential has this subject (400 invalid_request AADSTS700213 AADSTS70021, correlation id correlation-1)',
    'cost      3 tries, 12 jobs held',
    'instance  promptbridge / promptbridge-00007 / instance-1',
    'token     the token in use was valid for another 14 min',
    'Entra received',
    '  issuer    https://accounts.google.com',
    '  subject   1045',
    '  audience  api://AzureADTokenExchange',
    'to do     Set Subject to 1045.',
    '',
  ])
})

test('failure text: an episode that goes on has the last try and the time of the next', () => {
  const [first] = lines({ resolvedAt: undefined })
  const tries = 'last try 2026-11-24T06:01:30Z, next from 2026-11-24T06:02:00Z on'
  assert.equal(first, `2026-11-24T06:00:00Z, still failing: ${tries}`)
})

test('failure text: an instance that ended during an episode is not reported as still failing', () => {
  const describe = (tokenAt: number) =>
    describeFailure(aTokenFailure({ resolvedAt: undefined }), tokenAt).split('\n')[0]
  const { lastAt } = aTokenFailure({})
  const tries = 'last try 2026-11-24T06:01:30Z; an instance had a good token at 2026-11-24T06:01:31Z'
  assert.equal(describe(lastAt + 1_000), `2026-11-24T06:00:00Z, ${tries}`)
  assert.match(describe(lastAt) ?? '', /still failing/)
})

test('failure text: an unknown value has no line', () => {
  const unseen = { code: undefined, aadsts: undefined, httpStatus: undefined, correlationId: undefined }
  const bare = { presented: undefined, deployment: undefined, instance: { id: 'instance-1' } }
  const over = { ...unseen, ...bare, leg: 'google_id_token', kind: 'passing', message: 'no answer within 2 s' } as const
  assert.deepEqual(lines({ ...over, tries: 1, jobsHeld: 1, tokenValidForMs: 0 }), [
    '2026-11-24T06:00:00Z until 2026-11-24T06:01:30Z',
    'kind      passing: it may end without a change',
    'where     Google gave no ID token',
    'seen      no answer within 2 s',
    'cost      1 try, 1 job held',
    'instance  instance-1',
    'to do     Set Subject to 1045.',
    '',
  ])
})

test('failure text: a deployment that denies its caller, or is missing, is named', () => {
  const described = lines({ leg: 'azure_refused', deployment: 'gpt-4o-eu' })
  assert.equal(described[2], 'where     Azure refused requests to deployment gpt-4o-eu')
})

test('failure text: every leg has a text of its own', () => {
  const words = tokenLegs.map((leg) => lines({ leg, deployment: undefined })[2])
  assert.equal(new Set(words).size, tokenLegs.length)
})

test('failure text: less than two minutes are written in seconds', () => {
  assert.ok(lines({ tokenValidForMs: 119_000 }).includes('token     the token in use was valid for another 119 s'))
  assert.ok(lines({ tokenValidForMs: 120_000 }).includes('token     the token in use was valid for another 2 min'))
})

test('failure text: the latest time that a store keeps can be written', () => {
  const [first] = lines({ resolvedAt: undefined, nextTryAt: 253_402_300_799_000, firstAt: 0, lastAt: START })
  assert.match(first ?? '', /^1970-01-01T00:00:00Z, .* next from 9999-12-31T23:59:59Z on$/)
})

test('no text of the store can steer the terminal or add a line', () => {
  const evil = '\x1b[2J\r\nforged  \x9b1m\u202e'
  const presented = { issuer: evil, subject: evil, audience: evil }
  const texts = { message: evil, hint: evil, code: evil, correlationId: evil, deployment: evil, presented }
  const described = describeFailure(aTokenFailure({ ...texts, instance: { service: evil, revision: evil, id: evil } }))
  assert.equal(described.split('\n').length, lines({}).length)
  assert.doesNotMatch(described.replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u)
})

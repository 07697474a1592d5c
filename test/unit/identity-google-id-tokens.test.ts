import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createGoogleIdTokens, type GoogleIdToken, readIdToken } from '../../shared/identity/google-id-token.ts'

const EXPIRES_AT = 3_600_000
const SPARE_MS = 300_000
const presented = { issuer: 'https://accounts.google.com', subject: '1045', audience: 'api://AzureADTokenExchange' }

/** Tokens named by their number, each with an hour to live from the clock's start. */
function arrange() {
  const clock = { now: 0 }
  const fetched: GoogleIdToken[] = []
  const fail = { next: false }
  const tokens = createGoogleIdTokens(
    async () => {
      if (fail.next) {
        fail.next = false
        throw new Error('no token')
      }
      const token = { value: `token-${fetched.length}`, presented, expiresAt: clock.now + EXPIRES_AT }
      fetched.push(token)
      return token
    },
    () => clock.now,
  )
  return { clock, fetched, fail, tokens }
}

describe('the ID token', () => {
  test('is fetched once for all who ask at once', async () => {
    const { tokens, fetched } = arrange()
    await Promise.all(Array.from({ length: 100 }, () => tokens.get()))
    assert.equal(fetched.length, 1)
  })

  test('is kept until five minutes before its end, and not a millisecond longer', async () => {
    const { tokens, fetched, clock } = arrange()
    await tokens.get()
    clock.now = EXPIRES_AT - SPARE_MS - 1
    await tokens.get()
    assert.equal(fetched.length, 1)
    clock.now = EXPIRES_AT - SPARE_MS
    assert.equal((await tokens.get()).value, 'token-1')
  })

  test('is fetched again once it is dropped', async () => {
    const { tokens } = arrange()
    tokens.drop(await tokens.get())
    assert.equal((await tokens.get()).value, 'token-1')
  })

  test('stays when an older one is dropped', async () => {
    const { tokens, fetched } = arrange()
    const old = await tokens.get()
    tokens.drop(old)
    await tokens.get()
    tokens.drop(old)
    await tokens.get()
    assert.equal(fetched.length, 2)
  })

  test('that could not be had is asked for again by the next', async () => {
    const { tokens, fail } = arrange()
    fail.next = true
    await assert.rejects(tokens.get())
    assert.equal((await tokens.get()).value, 'token-0')
  })
})

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const jws = (claims: unknown) => `${encode({ alg: 'RS256' })}.${encode(claims)}.c2ln`
const claims = { iss: presented.issuer, sub: presented.subject, aud: presented.audience, exp: 3_600 }

describe('reading an ID token', () => {
  test('gives the claims that Entra knows a caller by, and its end in milliseconds', () => {
    assert.deepEqual(readIdToken(`${jws(claims)}\n`), { value: jws(claims), presented, expiresAt: EXPIRES_AT })
  })

  for (const [what, text] of [
    ['nothing', undefined],
    ['a page', '<!doctype html>'],
    ['two parts', jws(claims).split('.').slice(0, 2).join('.')],
    ['a payload that is no JSON', 'e30.bm90IGpzb24.c2ln'],
    ['no subject', jws({ ...claims, sub: undefined })],
    ['several audiences', jws({ ...claims, aud: ['a', 'b'] })],
    ['no end', jws({ ...claims, exp: undefined })],
    ['an end in words', jws({ ...claims, exp: 'tomorrow' })],
    ['a claim beyond all measure', jws({ ...claims, sub: 'x'.repeat(1_001) })],
    ['more than a token can hold', jws({ ...claims, extra: 'x'.repeat(20_000) })],
  ] as const) {
    test(`refuses ${what}, and quotes nothing of it`, () => {
      assert.throws(
        () => readIdToken(text),
        (error: Error) => !/eyJ|doctype/.test(error.message),
      )
    })
  }
})

import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { TokenError } from '../../shared/identity/token-error.ts'

/** The error with which it fails; neither its message nor what a crash would print of it holds a token. */
export async function tokenErrorOf(work: Promise<unknown>): Promise<TokenError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof TokenError, String(error))
  assert.doesNotMatch(error.message, /eyJ|[\w-]{40}/)
  assert.doesNotMatch(inspect(error, { depth: 20 }), /eyJ[\w-]{5,}|ya29\.\w/)
  return error
}

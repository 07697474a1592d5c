import assert from 'node:assert/strict'
import { TokenError } from '../../shared/identity/token-error.ts'

/** The error with which it fails, whose message holds no token. */
export async function tokenErrorOf(work: Promise<unknown>): Promise<TokenError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof TokenError, String(error))
  assert.doesNotMatch(error.message, /eyJ|[\w-]{40}/)
  return error
}

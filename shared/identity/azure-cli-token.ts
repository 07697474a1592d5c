import { AzureCliCredential } from '@azure/identity'
import { z } from 'zod'
import type { Clock } from '../lib/clock.ts'
import { withDeadline } from '../lib/with-deadline.ts'
import { saysKeysAreUnreadable } from './entra-refusal.ts'
import type { AccessToken } from './renewal.ts'
import { TokenError, type TokenErrorDetails } from './token-error.ts'

/** The command is a large Python program: it takes a second at best. */
const CLI_TIMEOUT_MS = 10_000

const accessToken = z.object({ token: z.string().min(1), expiresOnTimestamp: z.number().positive() })

/**
 * Gets an Azure token for the developer who is logged in to the Azure CLI.
 *
 * Rejects with TokenError after `timeoutMs` at the latest. Its code is `not_installed` or `not_logged_in`, where the
 * command says so; its numbers are Entra's.
 */
export async function fetchAzureCliToken(
  { tenantId, scope }: { readonly tenantId: string; readonly scope: string },
  now: Clock,
  timeoutMs = CLI_TIMEOUT_MS,
): Promise<AccessToken> {
  const fetchedAt = now()
  try {
    const credential = new AzureCliCredential({ tenantId, processTimeoutInMs: timeoutMs })
    const given = await withDeadline(timeoutMs, () => credential.getToken(scope))
    const { token, expiresOnTimestamp } = accessToken.parse(given)
    return { value: token, fetchedAt, expiresAt: expiresOnTimestamp }
  } catch (error) {
    const details = detailsOf(error)
    // Without its cause, whose message is all that the command wrote.
    throw new TokenError('azure_cli', describe(error, details, timeoutMs), details)
  }
}

/** The library reports what the command wrote, and nothing else: no status, no code. */
function detailsOf(error: unknown): TokenErrorDetails {
  const said = error instanceof Error ? error.message : ''
  const aadsts = [...said.matchAll(/AADSTS(\d{4,8})/g)].slice(0, 10).map(([, number]) => Number(number))
  if (aadsts.length > 0) return { aadsts, ...(saysKeysAreUnreadable(said) && { keysUnreadable: true }) }
  if (said.includes('could not be found')) return { code: 'not_installed' }
  return said.includes('az login') ? { code: 'not_logged_in' } : {}
}

function describe(error: unknown, { code, aadsts = [] }: TokenErrorDetails, timeoutMs: number): string {
  if (error instanceof DOMException) return `the Azure CLI gave no token within ${timeoutMs} ms`
  if (code === 'not_installed') return 'the Azure CLI is not installed'
  if (code === 'not_logged_in') return 'no account is logged in to the Azure CLI'
  return `the Azure CLI gave no token${aadsts.map((number) => ` AADSTS${number}`).join('')}`
}

import type { AccessToken } from '../../../shared/identity/renewal.ts'
import type { ModelReply, ModelRequest } from '../../../shared/models/provider.ts'

/** Says of each exchange of one process for a new token what made it necessary. */
export interface TokenLedger {
  /** What a resource said of the token that it was sent. */
  replied(request: ModelRequest, token: string, reply: ModelReply): void
  fetched(token: AccessToken): void
  /** An exchange begins. `now`: by the process's clock, in epoch milliseconds. */
  exchanging(now: number): void
}

/** The share of a token's life after which it is renewed. */
const RENEW_AFTER = 0.8
/** A token that every resource refuses is renewed after so long. */
const RENEW_REFUSED_AFTER_MS = 300_000

/** `needless` hears of each exchange for a token that was good, and is not renewed yet. */
export function createTokenLedger(needless: (what: string) => void): TokenLedger {
  /** Undefined where a new one is needed. */
  let held: AccessToken | undefined
  /** The token that each resource accepted last, unless it has refused one since. */
  const accepted = new Map<string, string>()
  /** The tokens in a row that each resource refused. */
  const refused = new Map<string, Set<string>>()

  const accepts = (token: string) => [...accepted.values()].includes(token)

  function isDue({ fetchedAt, expiresAt }: AccessToken, now: number): boolean {
    const isRefusedEverywhere = accepted.size === 0 && refused.size > 0
    const renewAfterMs = RENEW_AFTER * (expiresAt - fetchedAt)
    return now >= fetchedAt + (isRefusedEverywhere ? Math.min(renewAfterMs, RENEW_REFUSED_AFTER_MS) : renewAfterMs)
  }

  function refuse(resource: string, token: string): void {
    accepted.delete(resource)
    const inARow = new Set(refused.get(resource)).add(token)
    refused.set(resource, inARow)
    // One refusal is the token's fault, the second in a row is the resource's.
    if (inARow.size === 1 && !accepts(token)) held = undefined
  }

  return {
    replied({ deployment: { endpoint } }, token, reply) {
      // Of a token that is held no more, a late answer says nothing.
      if (token !== held?.value) return
      if (reply.ok || reply.failure.fromService) {
        accepted.set(endpoint, token)
        refused.delete(endpoint)
      } else if (reply.failure.kind === 'unauthorized') {
        refuse(endpoint, token)
      }
    },
    fetched(token) {
      held = token
    },
    exchanging(now) {
      if (held === undefined || isDue(held, now)) return
      needless(accepts(held.value) ? 'a token is replaced that a resource accepts' : 'a token is replaced for nothing')
    },
  }
}

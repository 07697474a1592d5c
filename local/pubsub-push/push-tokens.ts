import { createHash } from 'node:crypto'
import type { JWTPayload } from 'jose'
import type { SigningKey } from '../signing-key.ts'

const LIFE_MS = 3_600_000
const RENEW_BEFORE_MS = 300_000

/** The audience of a push's token, and the account that it is issued for. */
interface Oidc {
  readonly audience: string
  readonly serviceAccount: string
}

export type Forgery = 'expired' | 'wrong-audience' | 'wrong-email' | 'bad-signature' | 'none'

/** Signs the tokens of pushes as Google does. */
export interface PushTokens {
  /** A valid token, cached until five minutes before it expires. `now`: epoch milliseconds. */
  valid(oidc: Oidc, now: number): Promise<string>
  /** A token that an endpoint must reject; undefined: no token. */
  forged(forgery: Forgery, oidc: Oidc, now: number): Promise<string | undefined>
}

export function createPushTokens({ sign }: SigningKey): PushTokens {
  const cached = new Map<string, { token: Promise<string>; renewAt: number }>()
  return {
    valid(oidc, now) {
      const name = JSON.stringify([oidc.audience, oidc.serviceAccount])
      const found = cached.get(name)
      if (found !== undefined && now < found.renewAt) return found.token
      const token = sign(claims(oidc, now))
      cached.set(name, { token, renewAt: now + LIFE_MS - RENEW_BEFORE_MS })
      return token
    },
    async forged(forgery, oidc, now) {
      switch (forgery) {
        case 'none':
          return undefined
        case 'expired':
          return sign(claims(oidc, now - 2 * LIFE_MS))
        case 'wrong-audience':
          return sign({ ...claims(oidc, now), aud: 'https://another-service.example' })
        case 'wrong-email':
          return sign({ ...claims(oidc, now), email: 'stranger@another-project.iam.gserviceaccount.com' })
        case 'bad-signature':
          return withSignatureOf(await sign(claims(oidc, now - LIFE_MS)), await sign(claims(oidc, now)))
      }
    },
  }
}

// The claims of a real push token: https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions
function claims({ audience, serviceAccount }: Oidc, now: number): JWTPayload {
  const iat = Math.floor(now / 1_000)
  const id = uniqueId(serviceAccount)
  const who = { azp: id, email: serviceAccount, email_verified: true, sub: id }
  return { iss: 'https://accounts.google.com', aud: audience, iat, exp: iat + LIFE_MS / 1_000, ...who }
}

/** Google identifies a service account by a 21-digit id, not by its e-mail. Ours is calculated from the e-mail. */
function uniqueId(serviceAccount: string): string {
  const digest = createHash('sha256').update(serviceAccount).digest('hex')
  return `1${String(BigInt(`0x${digest}`) % 10n ** 20n).padStart(20, '0')}`
}

function withSignatureOf(other: string, token: string): string {
  return token.slice(0, token.lastIndexOf('.')) + other.slice(other.lastIndexOf('.'))
}

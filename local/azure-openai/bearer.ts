import { request } from 'node:https'
import { createRemoteJWKSet, customFetch, type JWTVerifyGetKey, jwtVerify } from 'jose'
import { z } from 'zod'

/** Which tokens a resource accepts. */
export interface TokenRules {
  readonly keys: JWTVerifyGetKey
  readonly issuer: string
  readonly audience: string
}

const claimsSchema = z.object({ oid: z.string().min(1), iss: z.string() })

/** The principal of a token of this Entra. */
export interface Principal {
  readonly objectId: string
  /** Whether it belongs to the tenant of the resource. */
  readonly isOfTenant: boolean
}

/** The principal of a bearer token; undefined when the token is missing, forged, expired or for another audience. */
export async function readPrincipal(
  authorization: string | undefined,
  rules: TokenRules,
  nowMs: number,
): Promise<Principal | undefined> {
  const [scheme, token] = (authorization ?? '').split(' ')
  if (scheme?.toLowerCase() !== 'bearer' || token === undefined) return undefined
  const { issuer, audience } = rules
  const demands = { audience, algorithms: ['RS256'], currentDate: new Date(nowMs), requiredClaims: ['exp'] }
  const verified = await jwtVerify(token, rules.keys, demands).catch(() => undefined)
  const { data } = claimsSchema.safeParse(verified?.payload)
  return data === undefined ? undefined : { objectId: data.oid, isOfTenant: data.iss === issuer }
}

/** The keys are fetched again for an unknown key id after this time, because a restarted Entra has a new key. */
const KEYS_COOLDOWN_MS = 200

/** Keys that are fetched over TLS from a stand-in with a self-signed certificate. */
export function trustedKeys(url: string, caPem: string | undefined): JWTVerifyGetKey {
  return createRemoteJWKSet(new URL(url), {
    cooldownDuration: KEYS_COOLDOWN_MS,
    ...(caPem !== undefined && { [customFetch]: (address, { signal }) => getTrusting(address, caPem, signal) }),
  })
}

/** Not fetch(), which trusts only the CAs of the process: Node reads NODE_EXTRA_CA_CERTS before a stand-in can write its file. */
function getTrusting(url: string, ca: string, signal: AbortSignal): Promise<Response> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { ca, signal, agent: false }, async (response) => {
      const chunks: Buffer[] = []
      for await (const chunk of response) chunks.push(chunk)
      resolve(new Response(Buffer.concat(chunks), { status: response.statusCode ?? 500 }))
    })
    sent.on('error', reject)
    sent.end()
  })
}

import { request } from 'node:https'
import { createRemoteJWKSet, customFetch, type JWTVerifyGetKey, jwtVerify } from 'jose'
import { z } from 'zod'

/** Whose tokens a resource takes. */
export interface TokenRules {
  readonly keys: JWTVerifyGetKey
  readonly issuer: string
  readonly audience: string
}

const claimsSchema = z.object({ oid: z.string().min(1), iss: z.string() })

/** Whom a token of this Entra speaks for. */
export interface Principal {
  readonly objectId: string
  /** Whether it is of the tenant that the resource belongs to. */
  readonly isOfTenant: boolean
}

/** The principal a bearer token speaks for, or undefined when it is missing, forged, expired or for others. */
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

/** An unknown key is looked for again after this long: a restarted Entra has a new one. */
const KEYS_COOLDOWN_MS = 200

/** Keys fetched over TLS from a stand-in that signed its own certificate. */
export function trustedKeys(url: string, caPem: string | undefined): JWTVerifyGetKey {
  return createRemoteJWKSet(new URL(url), {
    cooldownDuration: KEYS_COOLDOWN_MS,
    ...(caPem !== undefined && { [customFetch]: (address, { signal }) => getTrusting(address, caPem, signal) }),
  })
}

/** fetch() knows only the process's own certificates, and NODE_EXTRA_CA_CERTS is read before a stand-in can write one. */
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

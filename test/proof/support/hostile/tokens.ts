import fc from 'fast-check'
import { base64url, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import type { SigningKey } from '../../../../local/signing-key.ts'
import { anyOf, mostly, type Named } from './kinds.ts'

/** How a worker checks pushes, and whether Cloud Run is in front of it. */
export const modes = ['off', 'verify', 'cloud-run-iam', 'cloud-run-iam on Cloud Run'] as const
export type Mode = (typeof modes)[number]

/** What comes with a push to show whose it is. */
export type Presented = Named<{
  /** Lines of the head. */
  readonly authorization: readonly string[]
  /** By which it is good. */
  readonly goodIn: readonly Mode[]
}>

const HOUR_S = 3_600
const STRIPPED = 'SIGNATURE_REMOVED_BY_GOOGLE'
const EVERYWHERE = modes
const ONLY_OPEN = ['off'] as const
const BEHIND_CLOUD_RUN = ['off', 'cloud-run-iam on Cloud Run'] as const
/** Where X-Serverless-Authorization comes before Authorization, and where it says nothing. */
const BY_EITHER_HEADER = ['off', 'cloud-run-iam', 'cloud-run-iam on Cloud Run'] as const
const BY_AUTHORIZATION_ALONE = ['off', 'verify'] as const

export interface PushIdentity {
  readonly audience: string
  readonly serviceAccount: string
}

/** Makes every kind of token that is tried. `google` signs as Google does; `now`: epoch milliseconds. */
export async function makeTokens(google: SigningKey, stranger: SigningKey, identity: PushIdentity, now: number) {
  const at = Math.floor(now / 1_000)
  const claims: JWTPayload = {
    iss: 'https://accounts.google.com',
    aud: identity.audience,
    email: identity.serviceAccount,
    email_verified: true,
    iat: at,
    exp: at + HOUR_S,
  }
  const part = (value: object) => base64url.encode(JSON.stringify(value))
  const without = (claim: string) => Object.fromEntries(Object.entries(claims).filter(([name]) => name !== claim))
  const strip = (token: string) => `${token.slice(0, token.lastIndexOf('.'))}.${STRIPPED}`
  const signAs = async (alg: string, more: object = {}) => {
    const { privateKey } = await generateKeyPair(alg)
    return new SignJWT(claims).setProtectedHeader({ alg, kid: google.keyId, ...more }).sign(privateKey)
  }
  const pem = new TextEncoder().encode(google.pems[google.keyId])
  const wrongClaims: Readonly<Record<string, JWTPayload>> = {
    expired: { ...claims, iat: at - 2 * HOUR_S, exp: at - HOUR_S },
    'of an audience of another': { ...claims, aud: 'https://another.example' },
    'of no audience': without('aud'),
    'of an e-mail of another': { ...claims, email: 'stranger@contoso.iam.gserviceaccount.com' },
    'of an e-mail in other letters': { ...claims, email: identity.serviceAccount.toUpperCase() },
    'of no e-mail': without('email'),
    'of an e-mail that was not verified': { ...claims, email_verified: false },
    'of an e-mail that was verified in words': { ...claims, email_verified: 'true' },
    'of an e-mail without email_verified': without('email_verified'),
    'of another issuer': { ...claims, iss: 'https://accounts.google.com.example' },
    'of no issuer': without('iss'),
    'of no end': without('exp'),
    'of an end in the year 9999': { ...claims, exp: 253_402_300_799 },
    'of a beginning tomorrow': { ...claims, iat: at + 24 * HOUR_S },
    'of no beginning': without('iat'),
  }
  const signed = await google.sign(claims)
  const [head = '', body = '', signature = ''] = signed.split('.')
  const [strangersHead = '', , strangersSignature = ''] = (await stranger.sign(claims)).split('.')
  const bad: Record<string, string> = {
    'of another key': await stranger.sign(claims),
    'of another key, in the name of Google’s': `${head}.${body}.${strangersSignature}`,
    'of a key id of another': `${strangersHead}.${body}.${signature}`,
    'of another token’s signature': `${signed.slice(0, signed.lastIndexOf('.'))}.${(await google.sign({})).split('.')[2]}`,
    'alg none': `${part({ alg: 'none', kid: google.keyId })}.${body}.`,
    'alg None, with a signature': `${part({ alg: 'None', kid: google.keyId })}.${body}.${signature}`,
    'alg HS256 with the public key': await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', kid: google.keyId })
      .sign(pem),
    'alg ES256': await signAs('ES256'),
    'alg PS256': await signAs('PS256'),
    'with a key of its own': await signAs('RS256', { jwk: stranger.jwks.keys[0], jku: 'http://127.0.0.1:9/keys' }),
    'with something critical': `${part({ alg: 'RS256', kid: google.keyId, crit: ['x'], x: 1 })}.${body}.${signature}`,
    'of two parts': `${head}.${body}`,
    'of five parts': `${signed}.x.y`,
    'of no claims': `${head}.${base64url.encode('[]')}.${signature}`,
    garbage: 'garbage',
  }
  for (const [kind, wrong] of Object.entries(wrongClaims)) {
    bad[kind] = await google.sign(wrong)
    bad[`stripped, ${kind}`] = strip(bad[kind])
  }
  const bearer = (token: string) => [`authorization: Bearer ${token}`]
  const serverless = (token: string) => [`x-serverless-authorization: Bearer ${token}`]
  const strangers = await google.sign({ ...claims, email: 'stranger@contoso.iam.gserviceaccount.com' })
  return {
    good: { authorization: bearer(signed), goodIn: EVERYWHERE },
    ...{ 'in small letters': { authorization: [`authorization: bearer ${signed}`], goodIn: EVERYWHERE } },
    stripped: { authorization: bearer(strip(signed)), goodIn: BEHIND_CLOUD_RUN },
    none: { authorization: [], goodIn: ONLY_OPEN },
    'of another scheme': { authorization: [`authorization: Basic ${signed}`], goodIn: ONLY_OPEN },
    'after a bad one': { authorization: [...bearer('garbage'), ...bearer(signed)], goodIn: ONLY_OPEN },
    'in the other header': { authorization: serverless(signed), goodIn: BY_EITHER_HEADER },
    'stripped, in the other header': { authorization: serverless(strip(signed)), goodIn: BEHIND_CLOUD_RUN },
    'stripped, beside the one of another that was checked': {
      authorization: [...bearer(strip(signed)), ...serverless(strip(strangers))],
      goodIn: ONLY_OPEN,
    },
    'beside the one of another that was checked': {
      authorization: [...bearer(signed), ...serverless(strip(strangers))],
      goodIn: BY_AUTHORIZATION_ALONE,
    },
    'that was checked, beside the one of another': {
      authorization: [...bearer(strangers), ...serverless(strip(signed))],
      goodIn: BEHIND_CLOUD_RUN,
    },
    'beside an empty other header': {
      authorization: [...bearer(signed), 'x-serverless-authorization:'],
      goodIn: BY_AUTHORIZATION_ALONE,
    },
    'beside the other header twice': {
      authorization: [...bearer(signed), ...serverless(signed), ...serverless(signed)],
      goodIn: BY_AUTHORIZATION_ALONE,
    },
    'twice in one header': { authorization: [`authorization: Bearer ${signed}, Bearer ${signed}`], goodIn: ONLY_OPEN },
    'before an empty one': { authorization: [...bearer(signed), 'authorization:'], goodIn: ONLY_OPEN },
    ...Object.fromEntries(
      Object.entries(bad).map(([kind, token]) => [kind, { authorization: bearer(token), goodIn: ONLY_OPEN }]),
    ),
  }
}

type Tokens = Awaited<ReturnType<typeof makeTokens>>

/** Draws the good token one half of the time; the changed one differs from it in any one character. */
export function anyToken({ good, ...others }: Tokens): fc.Arbitrary<Presented> {
  const [line = ''] = good.authorization
  const begin = line.indexOf('eyJ')
  // The last character of a signature holds bits that say nothing.
  const changed = fc.integer({ min: begin, max: line.length - 2 }).map((at) => ({
    authorization: [line.slice(0, at) + (line[at] === 'A' ? 'B' : 'A') + line.slice(at + 1)],
    goodIn: ONLY_OPEN,
  }))
  const fixed = Object.entries(others).map(([kind, token]) => [kind, fc.constant(token)])
  return mostly(
    anyOf({ good: fc.constant(good) }),
    anyOf<Omit<Presented, 'kind'>>({ ...Object.fromEntries(fixed), 'changed in one character': changed }),
  )
}

import {
  calculateJwkThumbprint,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  type JSONWebKeySet,
  type JWTPayload,
  SignJWT,
} from 'jose'

/** An identity provider's RS256 key: signs, and publishes its public half. */
export interface SigningKey {
  readonly keyId: string
  readonly jwks: JSONWebKeySet
  /** The public key as PEM, by its id: the form that google-auth-library reads in Node. */
  readonly pems: Readonly<Record<string, string>>
  sign(claims: JWTPayload): Promise<string>
}

/** Creates a 2048-bit RSA key. Its id is its RFC 7638 thumbprint. */
export async function createSigningKey(): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair('RS256')
  const jwk = await exportJWK(publicKey)
  const keyId = await calculateJwkThumbprint(jwk)
  return {
    keyId,
    jwks: { keys: [{ ...jwk, kid: keyId, alg: 'RS256', use: 'sig' }] },
    pems: { [keyId]: await exportSPKI(publicKey) },
    sign: (claims) => new SignJWT(claims).setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: keyId }).sign(privateKey),
  }
}

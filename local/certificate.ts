import { randomUUID } from 'node:crypto'
import { generate } from 'selfsigned'

export interface Certificate {
  readonly keyPem: string
  readonly certPem: string
}

/**
 * Makes a certificate for 127.0.0.1, ::1 and localhost, signed by itself: its PEM is also the CA that a caller must trust.
 *
 * P-256, because it is made in milliseconds.
 */
export async function makeCertificate(): Promise<Certificate> {
  // A name of its own: OpenSSL finds the CA by name, and takes the first of several that share one.
  const made = await generate([{ name: 'commonName', value: `Promptbridge stand-in ${randomUUID()}` }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', digitalSignature: true, keyCertSign: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
          { type: 7, ip: '::1' },
        ],
      },
    ],
  })
  return { keyPem: made.private, certPem: made.cert }
}

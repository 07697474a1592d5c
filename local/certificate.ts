import { randomUUID } from 'node:crypto'
import { generate } from 'selfsigned'

export interface Certificate {
  readonly keyPem: string
  readonly certPem: string
}

/**
 * Creates a self-signed certificate for 127.0.0.1, ::1 and localhost. Its PEM is also the CA that a caller must trust.
 *
 * P-256, because its key is created in milliseconds.
 */
export async function makeCertificate(): Promise<Certificate> {
  // A unique name, because OpenSSL finds a CA by its name and uses the first of several with the same name.
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

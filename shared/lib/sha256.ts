import { hash } from 'node:crypto'

/** SHA-256, for the rules of shared/job, which import no library. */
export const sha256 = (data: string | Uint8Array): Uint8Array => hash('sha256', data, 'buffer')

import { createHash } from 'node:crypto'

/** SHA-256, for the rules of shared/job, which import no library. */
export const sha256 = (data: string | Uint8Array): Uint8Array => createHash('sha256').update(data).digest()

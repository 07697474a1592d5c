import { createHash } from 'node:crypto'
import type { Sha256 } from '../job/job.ts'

/** SHA-256, for the rules of shared/job, which import no library. */
export const sha256: Sha256 = (data) => createHash('sha256').update(data).digest()

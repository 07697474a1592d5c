import { z } from 'zod'
import { numberOf } from '../../job/exact-numbers.ts'
import type { Job } from '../../job/job.ts'
import { type Endpoint, lenient, tokens, wholeUsage } from '../endpoint.ts'
import { numberIn } from './answer-size.ts'

/** Of the largest model. */
const DIMENSIONS = 3_072
/** A double's digits, sign and exponent; a shorter number has room for an indent. */
const FLOAT_BYTES = 24
const BASE64_BYTES = (4 * 4) / 3
/** What stands around a vector. */
const FRAME_BYTES = 100

/** Numbers, or base64 of them. They are not checked one by one, because an answer may contain millions. */
const vector = z.union([z.string(), z.custom<readonly unknown[]>(Array.isArray)])

const embeddingList = z.object({
  data: z.array(z.object({ embedding: vector })).min(1),
  usage: lenient(z.object({ prompt_tokens: tokens })),
})

export const embeddings: Endpoint = {
  isUnderDeployment: true,
  capField: () => undefined,
  read(answer) {
    const { data } = embeddingList.safeParse(answer)
    if (data === undefined) return undefined
    return { ok: true, usage: wholeUsage(data.usage?.prompt_tokens, 0), finishReason: 'stop' }
  },
  answerBytes(body) {
    const perNumber = body['encoding_format'] === 'base64' ? BASE64_BYTES : FLOAT_BYTES
    return countInputs(body) * (FRAME_BYTES + Math.ceil(numberIn(body['dimensions'], DIMENSIONS) * perNumber))
  },
  textOf: () => undefined,
}

/** A list of tokens is one input. */
function countInputs({ input }: Job['body']): number {
  return Array.isArray(input) && numberOf(input[0]) === undefined ? input.length : 1
}

import { z } from 'zod'
import type { Endpoint } from './endpoint.ts'

/** Numbers, or base64 of them. They are not looked at one by one: an answer may hold millions. */
const vector = z.union([z.string(), z.custom<readonly unknown[]>(Array.isArray)])

const embeddingList = z.object({
  data: z.array(z.object({ embedding: vector })).min(1),
  usage: z.object({ prompt_tokens: z.number().int().min(0) }),
})

export const embeddings: Endpoint = {
  isUnderDeployment: true,
  read(answer) {
    const { data } = embeddingList.safeParse(answer)
    if (data === undefined) return undefined
    return { ok: true, usage: { promptTokens: data.usage.prompt_tokens, completionTokens: 0 }, finishReason: 'stop' }
  },
  textOf: () => undefined,
}

import { z } from 'zod'
import { bytesOfWords, numberIn } from './answer-size.ts'
import type { Endpoint } from './endpoint.ts'

const count = z.number().int().min(0)

const chatCompletion = z.object({
  choices: z.tuple([z.object({ finish_reason: z.string(), message: z.object({}) })], z.unknown()),
  usage: z.object({ prompt_tokens: count, completion_tokens: count }),
})

const said = z.object({
  choices: z.tuple([z.object({ message: z.object({ content: z.string() }) })], z.unknown()),
})

/** Of several choices the first one's finish reason and text are told. */
export const chatCompletions: Endpoint = {
  isUnderDeployment: true,
  read(answer) {
    const { data } = chatCompletion.safeParse(answer)
    if (data === undefined) return undefined
    const { prompt_tokens: promptTokens, completion_tokens: completionTokens } = data.usage
    return { ok: true, usage: { promptTokens, completionTokens }, finishReason: data.choices[0].finish_reason }
  },
  answerBytes(body) {
    const perToken = body['logprobs'] === true ? 1 + numberIn(body['top_logprobs'], 0) : 0
    return bytesOfWords(body, numberIn(body['n'], 1), perToken)
  },
  textOf: (answer) => said.safeParse(answer).data?.choices[0].message.content,
}

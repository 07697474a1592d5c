import { z } from 'zod'
import { bytesOfWords, numberIn } from './answer-size.ts'
import { type Endpoint, lenient, tokens, UNTOLD, wholeUsage } from './endpoint.ts'
import { FILTERED, sayFiltered } from './read-refusal.ts'

const choice = z.object({
  finish_reason: lenient(z.string()),
  message: lenient(z.union([z.string(), z.object({})])),
})

const chatCompletion = z.object({
  choices: z.array(choice.catch({})).min(1),
  usage: lenient(z.object({ prompt_tokens: tokens, completion_tokens: tokens })),
})

const said = z.object({
  choices: z.tuple([z.object({ message: z.union([z.string(), z.object({ content: z.string() })]) })], z.unknown()),
})

/** Of several choices the first one's finish reason and text are reported. */
export const chatCompletions: Endpoint = {
  isUnderDeployment: true,
  read(answer) {
    const { data } = chatCompletion.safeParse(answer)
    if (data === undefined) return undefined
    const usage = wholeUsage(data.usage?.prompt_tokens, data.usage?.completion_tokens)
    const finishReason = data.choices[0]?.finish_reason ?? UNTOLD
    // A message is an answer whatever is in it: text, a refusal, tool calls, or nothing where the model stopped at once.
    if (data.choices.some(({ message }) => message !== undefined)) return { ok: true, usage, finishReason }
    return finishReason === FILTERED ? { ok: false, failure: sayFiltered(usage) } : undefined
  },
  answerBytes(body) {
    const perToken = body['logprobs'] === true ? 1 + numberIn(body['top_logprobs'], 0) : 0
    return bytesOfWords(body, numberIn(body['n'], 1), perToken)
  },
  textOf(answer) {
    const message = said.safeParse(answer).data?.choices[0].message
    return typeof message === 'string' ? message : message?.content
  },
}

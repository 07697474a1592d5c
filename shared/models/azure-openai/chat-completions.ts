import { z } from 'zod'
import { type Endpoint, inputDetails, lenient, NO_REASON, tokens, wholeUsage } from '../endpoint.ts'
import { bytesOfWords, numberIn } from './answer-size.ts'
import { FILTERED, sayFiltered } from './read-refusal.ts'

const choice = z.object({
  finish_reason: lenient(z.string()),
  message: lenient(z.union([z.string(), z.object({})])),
})

const chatCompletion = z.object({
  choices: z.array(choice.catch({})).min(1),
  usage: lenient(z.object({ prompt_tokens: tokens, completion_tokens: tokens, prompt_tokens_details: inputDetails })),
})

const said = z.object({
  choices: z.tuple([z.object({ message: z.union([z.string(), z.object({ content: z.string() })]) })], z.unknown()),
})

/**
 * Versions that do not know `max_completion_tokens`, which newer models take in place of `max_tokens`: 2024-10-21 and older
 * ones. https://github.com/Azure/azure-rest-api-specs, AzureOpenAI/inference
 */
const LAST_OF_MAX_TOKENS = '2024-10-21'

/** If there are several choices, the finish reason and text of the first one are reported. */
export const chatCompletions: Endpoint = {
  isUnderDeployment: true,
  capField(apiVersion) {
    const isOld = apiVersion !== undefined && apiVersion.slice(0, LAST_OF_MAX_TOKENS.length) <= LAST_OF_MAX_TOKENS
    return isOld ? 'max_tokens' : 'max_completion_tokens'
  },
  read(answer) {
    const { data } = chatCompletion.safeParse(answer)
    if (data === undefined) return undefined
    const { prompt_tokens, completion_tokens, prompt_tokens_details } = data.usage ?? {}
    const usage = wholeUsage(prompt_tokens, completion_tokens, prompt_tokens_details)
    const finishReason = data.choices[0]?.finish_reason ?? NO_REASON
    // Every message is an answer: text, a refusal, tool calls, or nothing if the model stopped at once.
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

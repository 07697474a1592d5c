import { z } from 'zod'
import { NOTHING_FILTERED } from '../fixtures/azure-errors.ts'
import { summarise } from '../summarise.ts'
import type { ModelOperation } from './model-operation.ts'
import { cutToTokens, estimateTokens } from './tokens.ts'

const textPart = z.object({ type: z.literal('text'), text: z.string() })
const otherPart = z.object({ type: z.string() }).transform(() => ({ text: '' }))
const content = z.union([z.string(), z.array(z.union([textPart, otherPart]))]).nullish()

const bodySchema = z.object({
  model: z.string().min(1),
  messages: z.array(z.object({ role: z.string(), content })).min(1),
  max_tokens: z.int().positive().nullish(),
  max_completion_tokens: z.int().positive().nullish(),
  // This stand-in does not stream.
  stream: z.literal(false).nullish(),
})

/** `POST /chat/completions`: answers with an extractive summary of the last user message. */
export const chatCompletions: ModelOperation = {
  name: 'ChatCompletions_Create',
  path: '/chat/completions',
  read(body) {
    const parsed = bodySchema.safeParse(body)
    if (!parsed.success) {
      const [issue] = parsed.error.issues
      return { kind: 'malformed', problem: issue?.message ?? 'Invalid body.', param: issue?.path.join('.') ?? '' }
    }
    const { model, messages, max_completion_tokens, max_tokens } = parsed.data
    const texts = messages.map((message) => ({ role: message.role, text: textOf(message.content) }))
    return {
      kind: 'asked',
      model,
      prompt: texts.map(({ text }) => text).join('\n'),
      subject: texts.findLast(({ role }) => role === 'user')?.text ?? '',
      maxOutputTokens: max_completion_tokens ?? max_tokens ?? undefined,
    }
  },
  work({ subject, maxOutputTokens }) {
    const whole = summarise(subject)
    const text = maxOutputTokens === undefined ? whole : cutToTokens(whole, maxOutputTokens)
    return { text, outputTokens: estimateTokens(text), finish: text === whole ? 'stop' : 'length' }
  },
  answer: ({ text, finish, promptTokens, outputTokens }, { id, model, nowMs }) => ({
    id: `chatcmpl-${id.replaceAll('-', '')}`,
    object: 'chat.completion',
    created: Math.floor(nowMs / 1_000),
    model,
    system_fingerprint: 'fp_5ca1ab1e00',
    prompt_filter_results: [{ prompt_index: 0, content_filter_results: NOTHING_FILTERED }],
    choices: [
      {
        index: 0,
        finish_reason: finish,
        logprobs: null,
        content_filter_results: NOTHING_FILTERED,
        message: { role: 'assistant', content: text, refusal: null, annotations: [] },
      },
    ],
    usage: {
      prompt_tokens: promptTokens,
      completion_tokens: outputTokens,
      total_tokens: promptTokens + outputTokens,
    },
  }),
}

function textOf(value: z.output<typeof content>): string {
  if (typeof value === 'string') return value
  return (value ?? []).map(({ text }) => text).join('\n')
}

import { z } from 'zod'
import { NOTHING_FILTERED } from '../fixtures/azure-errors.ts'
import { type ModelOperation, messageText, readBody, type Work } from './model-operation.ts'
import { ANY_OBJECT, chooseTool, toolSchema, type Written, writeText } from './write-text.ts'

const responseFormat = z.union([
  z.object({ type: z.literal('json_schema'), json_schema: z.object({ schema: z.unknown() }) }),
  z.object({ type: z.enum(['text', 'json_object']) }),
])

const toolChoice = z.union([
  z.enum(['none', 'auto', 'required']),
  z
    .object({ type: z.literal('function'), function: z.object({ name: z.string() }) })
    .transform((named) => named.function),
])

const bodySchema = z.object({
  model: z.string().min(1),
  messages: z.array(z.object({ role: z.string(), content: messageText })).min(1),
  max_tokens: z.int().positive().nullish(),
  max_completion_tokens: z.int().positive().nullish(),
  // It is charged for, and one choice is answered.
  n: z.int().positive().nullish(),
  response_format: responseFormat.nullish(),
  tools: z.array(z.object({ function: toolSchema })).nullish(),
  tool_choice: toolChoice.nullish(),
  // This stand-in does not stream.
  stream: z.literal(false).nullish(),
})
type Body = z.output<typeof bodySchema>

/** `POST /chat/completions`: answers with an extractive summary of the last user message. */
export const chatCompletions: ModelOperation = {
  name: 'ChatCompletions_Create',
  verb: 'chatCompletion',
  path: '/chat/completions',
  needs: 'text',
  isUnderDeployment: true,
  since: '2023-05-15',
  read: (body) =>
    readBody(bodySchema, body, (asked) => {
      const maxOutputTokens = asked.max_completion_tokens ?? asked.max_tokens ?? undefined
      const prompt = asked.messages.map(({ content }) => content).join('\n')
      const choices = asked.n ?? 1
      return { model: asked.model, prompt, maxOutputTokens, choices, work: () => work(asked, maxOutputTokens) }
    }),
}

function work({ messages, response_format, tools, tool_choice }: Body, maxOutputTokens: number | undefined): Work {
  const written = writeText({
    subject: messages.findLast(({ role }) => role === 'user')?.content ?? '',
    schema: schemaOf(response_format),
    tool: chooseTool(
      (tools ?? []).map((tool) => tool.function),
      tool_choice,
    ),
    maxOutputTokens,
  })
  const { outputTokens, finish } = written
  return {
    outputTokens,
    finish,
    answer: ({ id, model, nowMs, promptTokens }) => ({
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
          message: { role: 'assistant', ...sayWritten(written, id), refusal: null, annotations: [] },
        },
      ],
      usage: {
        prompt_tokens: promptTokens,
        completion_tokens: outputTokens,
        total_tokens: promptTokens + outputTokens,
      },
    }),
  }
}

function sayWritten({ text, tool }: Written, id: string) {
  if (tool === undefined) return { content: text }
  const call = { id: `call_${id.replaceAll('-', '')}`, type: 'function', function: { name: tool, arguments: text } }
  return { content: null, tool_calls: [call] }
}

function schemaOf(format: Body['response_format']): unknown {
  if (format?.type === 'json_schema') return format.json_schema.schema
  return format?.type === 'json_object' ? ANY_OBJECT : undefined
}

import { z } from 'zod'
import { type ModelOperation, messageText, readBody, type Work } from './model-operation.ts'
import { ANY_OBJECT, chooseTool, toolSchema, type Written, writeText } from './write-text.ts'

const format = z.union([
  z.object({ type: z.literal('json_schema'), schema: z.unknown() }),
  z.object({ type: z.enum(['text', 'json_object']) }),
])

const toolChoice = z.union([
  z.enum(['none', 'auto', 'required']),
  z.object({ type: z.literal('function'), name: z.string() }),
])

const item = z.looseObject({ role: z.string().optional(), content: messageText })

const bodySchema = z.object({
  model: z.string().min(1),
  input: z.union([z.string().transform((content) => [{ role: 'user', content }]), z.array(item).min(1)]),
  instructions: z.string().nullish(),
  // The minimum of Azure.
  max_output_tokens: z.int().min(16).nullish(),
  text: z.object({ format: format.optional() }).nullish(),
  tools: z.array(toolSchema).nullish(),
  tool_choice: toolChoice.nullish(),
  // This stand-in does not stream, and does not store responses.
  stream: z.literal(false).nullish(),
  background: z.literal(false).nullish(),
})
type Body = z.output<typeof bodySchema>

/** `POST /responses`: answers with an extractive summary of the last user message. */
export const responses: ModelOperation = {
  name: 'Responses_Create',
  verb: 'responses',
  path: '/responses',
  needs: 'text',
  isUnderDeployment: false,
  since: '2025-03-01-preview',
  read: (body) =>
    readBody(bodySchema, body, (asked) => {
      const texts = [asked.instructions ?? '', ...asked.input.map(({ content }) => content)]
      const maxOutputTokens = asked.max_output_tokens ?? undefined
      return { model: asked.model, prompt: texts.join('\n').trimStart(), maxOutputTokens, work: () => work(asked) }
    }),
}

function work({ input, text, tools, tool_choice, max_output_tokens, instructions }: Body): Work {
  const written = writeText({
    subject: input.findLast(({ role }) => role === 'user')?.content ?? '',
    schema: schemaOf(text?.format),
    tool: chooseTool(tools ?? [], tool_choice),
    maxOutputTokens: max_output_tokens ?? undefined,
  })
  const { outputTokens, finish } = written
  const isCut = finish === 'length'
  return {
    outputTokens,
    finish,
    answer: ({ id, model, nowMs, promptTokens }) => ({
      id: `resp_${id.replaceAll('-', '')}`,
      object: 'response',
      created_at: Math.floor(nowMs / 1_000),
      status: isCut ? 'incomplete' : 'completed',
      background: false,
      error: null,
      incomplete_details: isCut ? { reason: 'max_output_tokens' } : null,
      instructions: instructions ?? null,
      max_output_tokens: max_output_tokens ?? null,
      model,
      output: [sayWritten(written, id.replaceAll('-', ''), isCut ? 'incomplete' : 'completed')],
      usage: {
        input_tokens: promptTokens,
        input_tokens_details: { cached_tokens: 0 },
        output_tokens: outputTokens,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: promptTokens + outputTokens,
      },
    }),
  }
}

function sayWritten({ text, tool }: Written, id: string, status: string) {
  if (tool !== undefined) {
    return { id: `fc_${id}`, type: 'function_call', status, call_id: `call_${id}`, name: tool, arguments: text }
  }
  const content = [{ type: 'output_text', text, annotations: [], logprobs: [] }]
  return { id: `msg_${id}`, type: 'message', status, role: 'assistant', content }
}

function schemaOf(wanted: z.output<typeof format> | undefined): unknown {
  if (wanted?.type === 'json_schema') return wanted.schema
  return wanted?.type === 'json_object' ? ANY_OBJECT : undefined
}

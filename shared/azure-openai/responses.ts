import { z } from 'zod'
import { bytesOfWords, numberIn } from './answer-size.ts'
import type { Endpoint, Reading } from './endpoint.ts'
import { type RefusalKind, sayRefusal } from './read-refusal.ts'

const count = z.number().int().min(0)
const usage = z.object({ input_tokens: count, output_tokens: count })
const output = z.array(z.unknown())

/** A response that is still queued or in progress is none: nobody would come back for it. */
const response = z.discriminatedUnion('status', [
  z.object({ status: z.literal('completed'), output, usage }),
  z.object({
    status: z.literal('incomplete'),
    output,
    usage,
    incomplete_details: z.object({ reason: z.string().nullish() }).nullish(),
  }),
  z.object({
    status: z.literal('failed'),
    error: z.object({ code: z.string().nullish() }).nullish(),
    usage: usage.nullish(),
  }),
])
type Response = z.infer<typeof response>
type Failed = Extract<Response, { status: 'failed' }>

const said = z.object({ output })
const message = z.object({ type: z.literal('message'), content: output })
const outputText = z.object({ type: z.literal('output_text'), text: z.string() })

export const responses: Endpoint = {
  isUnderDeployment: false,
  read(answer) {
    const { data } = response.safeParse(answer)
    if (data === undefined) return undefined
    return data.status === 'failed' ? readFailed(data) : readAnswered(data)
  },
  answerBytes(body) {
    const { include } = body
    const isTold = Array.isArray(include) && include.includes('message.output_text.logprobs')
    return bytesOfWords(body, 1, isTold ? 1 + numberIn(body['top_logprobs'], 0) : 0)
  },
  textOf(answer) {
    const items = said.safeParse(answer).data?.output ?? []
    const contents = items.flatMap((item) => message.safeParse(item).data?.content ?? [])
    const texts = contents.flatMap((part) => outputText.safeParse(part).data?.text ?? [])
    return texts.length === 0 ? undefined : texts.join('')
  },
}

function readAnswered(answered: Exclude<Response, Failed>): Reading {
  const { input_tokens: promptTokens, output_tokens: completionTokens } = answered.usage
  return { ok: true, usage: { promptTokens, completionTokens }, finishReason: finishReasonOf(answered) }
}

/** In the words of a chat completion, so that a record tells the same whatever was asked. */
function finishReasonOf(answered: Exclude<Response, Failed>): string {
  if (answered.status === 'completed') return 'stop'
  const reason = answered.incomplete_details?.reason ?? 'incomplete'
  return reason === 'max_output_tokens' ? 'length' : reason
}

function readFailed({ error, usage: used }: Failed): Reading {
  const code = error?.code ?? undefined
  const isUsed = used !== null && used !== undefined && used.input_tokens + used.output_tokens > 0
  return { ok: false, failure: sayRefusal(kindOf(code, isUsed), code) }
}

/** Codes for what the request says: the same request would fail again, and might be paid again. */
const ABOUT_THE_REQUEST =
  /^(invalid_|image_|empty_image_|unsupported_image_|failed_to_download_|content_filter|bio_policy|misalignment_policy|data_residency_)/

/**
 * What a response that failed after its 200 does to its job.
 *
 * It was taken in and worked on, so it may have been billed: unless it says that the request itself is at fault, nobody
 * knows. The exception is a quota that ran out before a token was used. Azure says that in a 200 as well as in a 429,
 * and counting it as an attempt would dead-letter a healthy job in a busy hour.
 */
function kindOf(code: string | undefined, isUsed: boolean): RefusalKind {
  if (code === 'rate_limit_exceeded' && !isUsed) return 'throttled'
  return code !== undefined && ABOUT_THE_REQUEST.test(code) ? 'rejected' : 'ambiguous'
}

import { z } from 'zod'
import { type Endpoint, inputDetails, lenient, NO_REASON, type Reading, tokens, wholeUsage } from '../endpoint.ts'
import { bytesOfWords, numberIn } from './answer-size.ts'
import { FILTERED, type RefusalKind, sayFiltered, sayRefusal } from './read-refusal.ts'

const output = z.array(z.unknown())

const response = z.object({
  status: lenient(z.string()),
  output: lenient(output),
  usage: lenient(z.object({ input_tokens: tokens, output_tokens: tokens, input_tokens_details: inputDetails })),
  incomplete_details: lenient(z.object({ reason: lenient(z.string()) })),
  error: lenient(z.object({ code: lenient(z.string()) })),
})
type Response = z.infer<typeof response>

/** An unfinished response has no answer. Its message is redelivered, and the request is sent again. */
const UNFINISHED: readonly (string | undefined)[] = ['queued', 'in_progress', 'cancelled']

const said = z.object({ output })
const message = z.object({ type: z.literal('message'), content: output })
const outputText = z.object({ type: z.literal('output_text'), text: z.string() })
const toolCall = z.object({ type: z.string().regex(/_call$/) })

export const responses: Endpoint = {
  isUnderDeployment: false,
  capField: () => 'max_output_tokens',
  read(answer) {
    const { data } = response.safeParse(answer)
    if (data === undefined) return undefined
    return data.status === 'failed' ? readFailed(data) : readAnswered(data)
  },
  answerBytes(body) {
    const { include } = body
    const hasLogprobs = Array.isArray(include) && include.includes('message.output_text.logprobs')
    return bytesOfWords(body, 1, hasLogprobs ? 1 + numberIn(body['top_logprobs'], 0) : 0)
  },
  textOf(answer) {
    const items = said.safeParse(answer).data?.output ?? []
    const contents = items.flatMap((item) => message.safeParse(item).data?.content ?? [])
    const texts = contents.flatMap((part) => outputText.safeParse(part).data?.text ?? [])
    return texts.length === 0 ? undefined : texts.join('')
  },
}

function readAnswered({
  status,
  output: items,
  usage: used,
  incomplete_details: details,
}: Response): Reading | undefined {
  const usage = wholeUsage(used?.input_tokens, used?.output_tokens, used?.input_tokens_details)
  const reason = details?.reason
  if (items === undefined) {
    return status === 'incomplete' && reason === FILTERED ? { ok: false, failure: sayFiltered(usage) } : undefined
  }
  const isWhole = status === 'completed' || status === 'incomplete'
  if (!isWhole && (UNFINISHED.includes(status) || !items.some(isAnswer))) return undefined
  return { ok: true, usage, finishReason: finishReasonOf(status, reason) }
}

/** Whether an output item is an answer: a text or a tool call. Used for responses without a known status. */
function isAnswer(item: unknown): boolean {
  return (message.safeParse(item).data?.content.length ?? 0) > 0 || toolCall.safeParse(item).success
}

/** Returns the finish reason in the terms of a chat completion, so that records of all urls use the same terms. */
function finishReasonOf(status: string | undefined, reason: string | undefined): string {
  if (status === 'completed') return 'stop'
  if (status !== 'incomplete') return NO_REASON
  return reason === 'max_output_tokens' ? 'length' : (reason ?? 'incomplete')
}

function readFailed({ error, usage }: Response): Reading {
  const isUsed = (usage?.input_tokens ?? 0) + (usage?.output_tokens ?? 0) > 0
  return { ok: false, failure: sayRefusal(kindOf(error?.code, isUsed), error?.code) }
}

/** Codes that concern the content of the request. The same request would fail again, and might be billed again. */
const ABOUT_THE_REQUEST =
  /^(invalid_|image_|empty_image_|unsupported_image_|failed_to_download_|content_filter|bio_policy|misalignment_policy|data_residency_)/

/**
 * What a response that failed after its 200 does to its job.
 *
 * Azure processed the request, so it may have been billed, unless the answer says that the request itself is at fault. The
 * exception is a quota that ran out before a token was used. Azure says that in a 200 as well as in a 429,
 * and counting it as an attempt would dead-letter a healthy job in a busy hour.
 */
function kindOf(code: string | undefined, isUsed: boolean): RefusalKind {
  if (code === 'rate_limit_exceeded' && !isUsed) return 'throttled'
  return code !== undefined && ABOUT_THE_REQUEST.test(code) ? 'rejected' : 'ambiguous'
}

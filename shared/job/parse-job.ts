import { z } from 'zod'
import { parseExact } from './exact-numbers.ts'
import { type Job, jobKey, jobUrls, type Sha256 } from './job.ts'
import { findExcess, type JsonLimits } from './json-limits.ts'
import { findCapProblem } from './output-cap.ts'

/** The longest job data that is read. A million-token prompt fits, and an instance can hold many jobs of this size. */
export const MAX_JOB_BYTES = 4 * 1024 * 1024

export type ParsedJob =
  | { readonly ok: true; readonly job: Job }
  /** `problem` names the field and what is wrong with it; it never quotes a value. */
  | { readonly ok: false; readonly problem: string }

/**
 * Limits on the structure of a job, so that an instance can hold many jobs. JSON.parse reads any depth, but
 * JSON.stringify, which serializes the body, overflows the stack.
 */
const JOB_LIMITS: JsonLimits = { maxValues: 100_000, maxDepth: 101 }
const MAX_METADATA = 16

const isWellFormed = (text: string) => text.isWellFormed()
const HALF_A_PAIR = 'holds half a surrogate pair'

const jobId = z.string().min(1).max(256).refine(isWellFormed, HALF_A_PAIR)
/** NUL separates batch and id in the record's key, so a batch cannot contain it. */
const batchName = z
  .string()
  .max(128)
  .refine((text) => isWellFormed(text) && !text.includes('\0'), 'holds a NUL or half a surrogate pair')
const modelName = z.string().min(1).max(128).refine(isWellFormed, HALF_A_PAIR)
/** Firestore reserves the empty name and names between double underscores. */
const metadataKey = z
  .string()
  .min(1)
  .max(64)
  .refine((key) => isWellFormed(key) && !/^__.*__$/s.test(key))

/** An event carries metadata as attributes, whose values have at most 1,024 bytes. */
const metadataValue = z
  .string()
  .refine(
    (value) => isWellFormed(value) && new TextEncoder().encode(value).length <= 1_024,
    'has more than 1,024 bytes, or half a surrogate pair',
  )

const common = {
  id: jobId.optional(),
  custom_id: jobId.optional(),
  batch: batchName.optional(),
  deadline: z.iso.datetime({ offset: true }).optional(),
  metadata: metadata().optional(),
}

/** The body is not parsed by a schema, because that would copy it. */
const bodyFields = withoutProto(
  z.object({
    model: modelName.optional(),
    stream: off('streams are not supported: the whole answer goes into the record'),
    background: off('the answer must come with the response that was paid for'),
  }),
)

const requestJob = z.strictObject({
  ...common,
  method: z.literal('POST').optional(),
  url: z
    .string()
    .transform((url) => (url.startsWith('/v1/') ? url : `/v1${url}`))
    .pipe(z.enum(jobUrls, { error: () => `cannot be asked here; it must be one of ${jobUrls.join(', ')}` })),
  body: z.custom<Readonly<Record<string, unknown>>>(isObject, 'is not a JSON object').superRefine((body, context) => {
    const { issues = [] } = bodyFields.safeParse(body).error ?? {}
    for (const { path, message } of issues) context.addIssue({ code: 'custom', path, message })
  }),
})

const promptJob = z
  .strictObject({ ...common, model: modelName.optional(), prompt: z.string().min(1) })
  .transform(({ prompt, model, ...rest }) => ({
    ...rest,
    url: '/v1/chat/completions' as const,
    body: { model, messages: [{ role: 'user', content: prompt }] },
  }))

const jobAttributes = z.object({
  'pb-run': z
    .string()
    .regex(/^[1-9]\d{0,5}$/, 'is not a whole number from 1 to 999999')
    .default('1')
    .transform(Number),
  batch: batchName.optional(),
  'pb-deadline': common.deadline,
})

/**
 * Reads a job from a message's data and attributes.
 *
 * A job has one of three shapes: a line of an OpenAI Batch file, such a line with Promptbridge's fields, or a bare prompt.
 * If the job has no id, the hash of the data is its id. The same prompt published twice is then one job.
 */
export function parseJob(data: Uint8Array, attributes: Readonly<Record<string, string>>, sha256: Sha256): ParsedJob {
  const payloadHash = toHex(sha256(data))
  const value = readObject(data, payloadHash)
  if (!value.ok) return value
  const fields = ('prompt' in value.object ? promptJob : requestJob).safeParse(value.object)
  if (!fields.success) return refuse(describe(fields.error))
  const carried = jobAttributes.safeParse(attributes)
  if (!carried.success) return refuse(`attribute ${describe(carried.error)}`)
  const {
    id,
    custom_id,
    batch = carried.data.batch ?? '',
    deadline = carried.data['pb-deadline'],
    metadata = {},
    url,
    body,
  } = fields.data
  if (id !== undefined && custom_id !== undefined && id !== custom_id) {
    return refuse('id and custom_id name two jobs; give one of them')
  }
  const capProblem = findCapProblem(body)
  if (capProblem !== undefined) return refuse(`body.${capProblem}`)

  const name = id ?? custom_id ?? payloadHash
  const job: Job = {
    key: jobKey(batch, name, sha256),
    id: name,
    batch,
    run: carried.data['pb-run'],
    url,
    model: typeof body['model'] === 'string' ? body['model'] : undefined,
    body,
    metadata,
    deadline: deadline === undefined ? undefined : withinStoredTime(Date.parse(deadline)),
    payloadHash,
  }
  return { ok: true, job }
}

/** From 1970 to 9999, the range of times that every store can keep. Epoch milliseconds. */
function withinStoredTime(time: number): number {
  return Math.min(Math.max(time, 0), Date.UTC(9999, 11, 31))
}

function readObject(data: Uint8Array, hash: string): { ok: true; object: object } | { ok: false; problem: string } {
  if (data.byteLength > MAX_JOB_BYTES) return refuse(tooLong(data.byteLength))
  let value: unknown
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(data)
    const excess = findExcess(text, JOB_LIMITS)
    if (excess !== undefined) return refuse(sayExcess(excess))
    value = parseExact(text, 'body', hash)
  } catch (error) {
    // The parser's own message quotes the text, which may be a prompt.
    return refuse(error instanceof SyntaxError ? 'the data is not JSON' : 'the data is not UTF-8 text')
  }
  return isObject(value) ? { ok: true, object: value } : refuse('the data is not a JSON object')
}

function sayExcess(excess: keyof JsonLimits): string {
  if (excess === 'maxDepth') return `the job is nested more than ${JOB_LIMITS.maxDepth} levels deep`
  return `the job holds more than ${JOB_LIMITS.maxValues} values and names; split it into several jobs`
}

/** What is wrong with data of more than MAX_JOB_BYTES. */
export function tooLong(bytes: number): string {
  return `the job is ${bytes} bytes long; at most ${MAX_JOB_BYTES} are read`
}

function refuse(problem: string): { ok: false; problem: string } {
  return { ok: false, problem }
}

/** A service may read another value, such as "true" or 1, as true. */
function off(why: string) {
  return z.literal(false, { error: `can only be false: ${why}` }).nullish()
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !JSON.isRawJSON(value)
}

/** The entries are counted first, because zod's record schema copies them. */
function metadata() {
  return withoutProto(
    z
      .unknown()
      .refine((map) => !isObject(map) || Object.keys(map).length <= MAX_METADATA, {
        error: `has more than ${MAX_METADATA} entries`,
        abort: true,
      })
      .pipe(z.record(metadataKey, metadataValue)),
  )
}

/** zod drops a field of this name without an error. */
function withoutProto<T extends z.ZodType>(schema: T) {
  return z.preprocess((value, context) => {
    if (typeof value === 'object' && value !== null && Object.hasOwn(value, '__proto__')) {
      context.addIssue('cannot hold a field named __proto__')
    }
    return value
  }, schema)
}

const MAX_ISSUES = 5
const MAX_NAME_LENGTH = 40
/** The sender chooses the name. It may contain a line break, or be cut in the middle of a character. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu

function describe(error: z.ZodError): string {
  return error.issues
    .slice(0, MAX_ISSUES)
    .map((issue) => {
      const where = issue.path.map((part) => String(part).slice(0, MAX_NAME_LENGTH)).join('.')
      return `${where === '' ? 'the job' : where}: ${sayIssue(issue)}`
    })
    .join('; ')
    .replaceAll(UNPRINTABLE, '�')
}

function sayIssue(issue: z.core.$ZodIssue): string {
  if (issue.code !== 'unrecognized_keys') return issue.message
  return `unknown field ${issue.keys.map((key) => `"${key.slice(0, MAX_NAME_LENGTH)}"`).join(', ')}`.slice(0, 200)
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

function toHex(bytes: Uint8Array): string {
  return bytes.reduce((text, byte) => text + HEX[byte], '')
}

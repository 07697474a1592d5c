import { z } from 'zod'

/** A request that could be read. */
export interface Asked {
  readonly kind: 'asked'
  readonly model: string
  /** All text of the request: what is counted and filtered. */
  readonly prompt: string
  readonly maxOutputTokens: number | undefined
  /** Does what was asked. */
  work(): Work
}

interface Malformed {
  readonly kind: 'malformed'
  readonly problem: string
  readonly param: string
}

/** What the model came up with. */
export interface Work {
  readonly outputTokens: number
  /** As the log tells it. */
  readonly finish: 'stop' | 'length' | 'tool_calls'
  /** The body of the answer. */
  answer(labels: Labels): object
}

interface Labels {
  readonly id: string
  readonly model: string
  readonly nowMs: number
  readonly promptTokens: number
}

/** One of the API's operations; who may call it, quotas and the bill are the server's business. */
export interface ModelOperation {
  /** Azure's name for it, as its quota errors say it. */
  readonly name: string
  /** Azure's name for it where a model cannot do it. */
  readonly verb: string
  readonly path: string
  /** What a deployment must be for. */
  readonly needs: 'text' | 'embeddings'
  /** Whether a dated API version names the deployment in the path; else the body names it. */
  readonly isUnderDeployment: boolean
  /** The first dated API version that has it. */
  readonly since: string
  read(body: unknown): Asked | Malformed
}

/** Reads a body by a schema, or says what is wrong with it as Azure does. */
export function readBody<T>(
  schema: z.ZodType<T>,
  body: unknown,
  asAsked: (data: T) => Omit<Asked, 'kind'>,
): Asked | Malformed {
  const { data, error } = schema.safeParse(body)
  if (error === undefined) return { kind: 'asked', ...asAsked(data) }
  const [issue] = error.issues
  return { kind: 'malformed', problem: issue?.message ?? 'Invalid body.', param: issue?.path.join('.') ?? '' }
}

/** The text of a message, whose other parts (images, files) have none. */
export const messageText = z
  .union([z.string(), z.array(z.looseObject({ text: z.string().optional() }))])
  .nullish()
  .transform((value) => (typeof value === 'string' ? value : (value ?? []).map(({ text = '' }) => text).join('\n')))

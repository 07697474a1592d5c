import { z } from 'zod'

/** A valid request. */
export interface Asked {
  readonly kind: 'asked'
  readonly model: string
  /** All text of the request, which is counted and filtered. */
  readonly prompt: string
  readonly maxOutputTokens: number | undefined
  /** How many answers are asked for; one when absent. Each is charged with the maximum on arrival. */
  readonly choices?: number
  /** Does the work of the request. */
  work(): Work
}

interface Malformed {
  readonly kind: 'malformed'
  readonly problem: string
  readonly param: string
}

/** The result of the model. */
export interface Work {
  readonly outputTokens: number
  /** Its value in the log. */
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

/** One operation of the API. The server handles permissions, quotas and billing. */
export interface ModelOperation {
  /** Azure's name for it in quota errors. */
  readonly name: string
  /** Azure's name for it in the error of a model that does not support it. */
  readonly verb: string
  readonly path: string
  /** The kind of deployment that it needs. */
  readonly needs: 'text' | 'embeddings'
  /** Whether dated API versions name the deployment in the path; otherwise in the body. */
  readonly isUnderDeployment: boolean
  /** The first dated API version that has it. */
  readonly since: string
  read(body: unknown): Asked | Malformed
}

/** Parses a body with a schema, or returns the problem in Azure's words. */
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

/** The text of a message. Its other parts (images, files) have none. */
export const messageText = z
  .union([z.string(), z.array(z.looseObject({ text: z.string().optional() }))])
  .nullish()
  .transform((value) => (typeof value === 'string' ? value : (value ?? []).map(({ text = '' }) => text).join('\n')))

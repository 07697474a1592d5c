import type { Job } from './job.ts'

/** The fields by which a request caps each of its answers. */
export const capFields = ['max_completion_tokens', 'max_tokens', 'max_output_tokens'] as const
/** Fields that set the number of answers. The cap applies to each answer. */
const CHOICE_FIELDS = ['n', 'best_of'] as const

type Body = Job['body']

/**
 * Finds what is wrong with the fields of a body that decide how long its answer may be.
 *
 * Only whole numbers in digits are accepted. `1e2` and `100.0` are refused, because services may read them differently.
 */
export function findCapProblem(body: Body): string | undefined {
  const wrong = [...capFields, ...CHOICE_FIELDS].find((name) => isGiven(body[name]) && !isCount(body[name]))
  if (wrong !== undefined) return `${wrong}: must be a whole number from 1 on, in digits`
  const given = capFields.filter((name) => isGiven(body[name]))
  const isOne = new Set(given.map((name) => body[name])).size <= 1
  return isOne ? undefined : `${given.join(' and ')} differ; give one of them`
}

/** The maximum number of tokens of one answer, or undefined if the job sets none. */
export function outputTokenCap(body: Body): number | undefined {
  return capFields.map((name) => body[name]).find(isCount)
}

/** How many answers a body asks for. */
export function choicesOf(body: Body): number {
  return Math.max(1, ...CHOICE_FIELDS.map((name) => body[name]).filter(isCount))
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 1
}

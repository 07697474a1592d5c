import { estimateTokens, type Job } from '../../shared/job/job.ts'

/** What the jobs of one model ask for. Tokens are estimates. */
export interface ModelUse {
  /** The url of one of them. */
  readonly url: Job['url']
  readonly jobs: number
  readonly promptTokens: number
  /** The sum of their output caps. */
  readonly maxCompletionTokens: number
  /** How many have no output cap. */
  readonly uncapped: number
  /** How many set `max_tokens`. */
  readonly withMaxTokens: number
  /** The largest output cap. */
  readonly largestCap: number
}

/** An input may name any number of models; no deployment serves so many. */
const MAX_MODELS = 1_000

/** What one job asks for. The model is '' if it names none. */
export function useOf({ model = '', url, body }: Job): ModelUse & { readonly model: string } {
  const { promptTokens, maxCompletionTokens } = estimateTokens(body)
  return {
    ...{ model, url, jobs: 1, promptTokens },
    maxCompletionTokens: maxCompletionTokens ?? 0,
    uncapped: maxCompletionTokens === undefined && url !== '/v1/embeddings' ? 1 : 0,
    withMaxTokens: typeof body['max_tokens'] === 'number' ? 1 : 0,
    largestCap: maxCompletionTokens ?? 0,
  }
}

/** Adds a job to the sums of its model. */
export function addUse(models: Map<string, ModelUse>, { model, ...use }: ReturnType<typeof useOf>): void {
  const sum = models.get(model)
  if (sum === undefined) {
    if (models.size < MAX_MODELS) models.set(model, use)
    return
  }
  models.set(model, {
    url: sum.url,
    jobs: sum.jobs + use.jobs,
    promptTokens: sum.promptTokens + use.promptTokens,
    maxCompletionTokens: sum.maxCompletionTokens + use.maxCompletionTokens,
    uncapped: sum.uncapped + use.uncapped,
    withMaxTokens: sum.withMaxTokens + use.withMaxTokens,
    largestCap: Math.max(sum.largestCap, use.largestCap),
  })
}

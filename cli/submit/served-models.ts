import type { Environment } from '../../shared/config/rules.ts'
import { DEFAULT_OUTPUT_TOKENS, settings } from '../../shared/config/schema.ts'
import type { Stores } from '../../shared/stores/open.ts'
import type { Served } from './warnings.ts'

/** Instances with a heartbeat in this time are counted. */
const RECENT_MS = 24 * 60 * 60 * 1_000

/** Finds which models are served: from the settings here, or from the heartbeats of workers. */
export async function findServed(
  environment: Environment,
  telemetry: Pick<Stores['telemetry'], 'instances'>,
  now: number,
): Promise<Served> {
  const { DEPLOYMENTS, AZURE_OPENAI_DEPLOYMENT, MAX_OUTPUT_TOKENS } = settings.shape
  const several = DEPLOYMENTS.safeParse(environment['DEPLOYMENTS']).data
  const one = AZURE_OPENAI_DEPLOYMENT.safeParse(environment['AZURE_OPENAI_DEPLOYMENT']).data
  const own = several?.map(({ model }) => model) ?? (one === undefined ? [] : [one])
  const models = own.length > 0 ? own : await modelsOfWorkers(telemetry, now)
  const caps = several?.map(({ maxOutputTokens = 0 }) => maxOutputTokens) ?? []
  const limit = MAX_OUTPUT_TOKENS.safeParse(environment['MAX_OUTPUT_TOKENS']).data ?? DEFAULT_OUTPUT_TOKENS
  return { models: models.length > 0 ? models : undefined, maxOutputTokens: Math.max(limit, ...caps) }
}

async function modelsOfWorkers(telemetry: Pick<Stores['telemetry'], 'instances'>, now: number): Promise<string[]> {
  const { found } = await telemetry.instances(now - RECENT_MS)
  return [...new Set(found.flatMap(({ models }) => models))]
}

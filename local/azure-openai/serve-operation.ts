import type { Context, Hono } from 'hono'
import { AZURE_ERRORS, type AzureErrorName } from '../fixtures/azure-errors.ts'
import type { StandInEnv } from '../serve/service-description.ts'
import { type Answerer, answerCall, type Outcome } from './answer-call.ts'
import { type AzureHeaders, azureHeaders, refuseAsAzure } from './answers.ts'
import type { ModelOperation } from './model-operation.ts'

/** The settings that all operations of a resource share. */
export interface Serving {
  readonly answerer: Answerer
  refuseCaller(authorization: string | undefined, headers: AzureHeaders): Promise<Outcome | undefined>
}

/** The dated API versions that this resource supports. */
const VERSIONS = [
  '2023-05-15',
  '2024-02-01',
  '2024-06-01',
  '2024-10-21',
  '2024-12-01-preview',
  '2025-01-01-preview',
  '2025-03-01-preview',
  '2025-04-01-preview',
]

/** Serves an operation on the v1 API, and on dated versions at the address it has there. */
export function serveOperation(app: Hono<StandInEnv>, operation: ModelOperation, serving: Serving): void {
  app.post(`/openai/v1${operation.path}`, (c) => {
    const isDated = c.req.query('api-version') !== undefined
    return serve(c, operation, 'v1', isDated ? 'api_version_not_allowed' : undefined, serving)
  })
  const datedPath = operation.isUnderDeployment ? '/openai/deployments/:deployment' : '/openai'
  app.post(`${datedPath}${operation.path}`, (c) => {
    const version = c.req.query('api-version') ?? ''
    return serve(c, operation, version, refuseVersion(version, operation), serving)
  })
}

/** A missing or unknown version is answered with 404. */
function refuseVersion(version: string, { since }: ModelOperation): AzureErrorName | undefined {
  if (!VERSIONS.includes(version)) return 'not_found'
  return version < since ? 'api_version_too_old' : undefined
}

async function serve(
  c: Context<StandInEnv>,
  operation: ModelOperation,
  apiVersion: string,
  unfit: AzureErrorName | undefined,
  { answerer, refuseCaller }: Serving,
): Promise<Response> {
  const headers = azureHeaders(c.req.raw.headers, answerer.dependencies)
  const refused =
    unfit === undefined
      ? await refuseCaller(c.req.header('authorization'), headers)
      : { response: refuseAsAzure(AZURE_ERRORS[unfit], {}, headers), detail: { apiVersion, error: unfit } }
  const outcome = refused ?? (await answerCall({ operation, body: await bodyOf(c), apiVersion, headers }, answerer))
  c.set('detail', { ...c.get('detail'), requestId: headers['apim-request-id'], ...outcome.detail })
  return outcome.response
}

/** A deployment in the address has priority over the one in the body. */
async function bodyOf(c: Context<StandInEnv>): Promise<unknown> {
  const body: unknown = await c.req.json().catch(() => undefined)
  const model = c.req.param('deployment')
  return model === undefined || typeof body !== 'object' ? body : { ...body, model }
}

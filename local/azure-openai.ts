import type { Answerer, Deployment, Latency, Outcome } from './azure-openai/answer-call.ts'
import { type AzureHeaders, azureHeaders, refuseAsAzure } from './azure-openai/answers.ts'
import { type Principal, readPrincipal, type TokenRules, trustedKeys } from './azure-openai/bearer.ts'
import { chatCompletions } from './azure-openai/chat-completions.ts'
import { embeddings } from './azure-openai/embeddings.ts'
import { createDocumentedLimiter, createFixedWindows, type LimitEvents } from './azure-openai/limiter.ts'
import type { ModelOperation } from './azure-openai/model-operation.ts'
import { responses } from './azure-openai/responses.ts'
import { serveOperation } from './azure-openai/serve-operation.ts'
import { type Dependencies, realDependencies } from './dependencies.ts'
import { tokenIssuer } from './entra/documents.ts'
import { AZURE_ERRORS, type AzureErrorName } from './fixtures/azure-errors.ts'
import { AZURE, ENTRA } from './identities.ts'
import type { ServiceDescription } from './serve/service-description.ts'
import { type StandIn, type StandInOptions, serveStandIn } from './stand-in.ts'

export interface AzureOpenAIOptions extends StandInOptions {
  /** Where Entra's keys are. */
  readonly tokenKeysUrl: string
  /** The CA for fetching them; the CAs of the process when absent. */
  readonly tokenKeysCaPem?: string
  readonly deployments?: readonly Deployment[]
  /** The tenant that the resource belongs to; Entra's own, when absent. */
  readonly tenantId?: string
  /** Object ids of the principals that have a role on this resource. */
  readonly principals?: readonly string[]
  /** The length of a quota window. */
  readonly minuteMs?: number
  /** Limits by Azure's documented windows, with what happens to a deployment; fixed windows of a minute when absent. */
  readonly documentedLimits?: (deployment: string) => LimitEvents
  readonly latency?: Partial<Latency>
}

export const DEFAULT_DEPLOYMENT: Deployment = {
  name: AZURE.deployment,
  serves: 'text',
  model: AZURE.model,
  contextWindow: 128_000,
  requestsPerMinute: 10_000,
  tokensPerMinute: 10_000_000,
}

export const EMBEDDING_DEPLOYMENT: Deployment = {
  ...DEFAULT_DEPLOYMENT,
  name: AZURE.embeddingDeployment,
  serves: 'embeddings',
  model: AZURE.embeddingDeployment,
  contextWindow: 8_191,
}

/** The operations of the resource. */
const OPERATIONS: readonly ModelOperation[] = [chatCompletions, responses, embeddings]

/** An Azure OpenAI resource, on the v1 API and on dated versions. */
export async function startAzureOpenAI(options: AzureOpenAIOptions): Promise<StandIn> {
  const dependencies = { ...realDependencies, ...options.dependencies }
  const rules: TokenRules = {
    keys: trustedKeys(options.tokenKeysUrl, options.tokenKeysCaPem),
    issuer: tokenIssuer(options.tenantId ?? ENTRA.tenantId),
    audience: AZURE.resource,
  }
  const deployments = options.deployments ?? [DEFAULT_DEPLOYMENT, EMBEDDING_DEPLOYMENT]
  const minuteMs = options.minuteMs ?? 60_000
  const model = {
    deployments: new Map(deployments.map((deployment) => [deployment.name, deployment])),
    limiter:
      options.documentedLimits === undefined
        ? createFixedWindows(minuteMs)
        : createDocumentedLimiter(minuteMs, options.documentedLimits),
    latency: { baseMs: 0, perOutputTokenMs: 0, spread: 0, ...options.latency },
    dependencies,
  }
  const principals = new Set(options.principals ?? [ENTRA.objectId])
  return serveStandIn(describe(model, rules, principals), dependencies, options)
}

function describe(
  model: Omit<Answerer, 'closing'>,
  rules: TokenRules,
  principals: ReadonlySet<string>,
): ServiceDescription {
  const { dependencies } = model
  return {
    service: 'azure-openai',
    operationOf: (path) => OPERATIONS.find((operation) => path.endsWith(operation.path))?.name ?? 'unknown',
    describe: (headers) => ({ billed: false, clientRequestId: headers.get('x-ms-client-request-id') }),
    errors: Object.fromEntries(
      Object.entries(AZURE_ERRORS).map(([name, error]) => [
        name,
        (headers) => refuseAsAzure(error, SAMPLE_VALUES, azureHeaders(headers, dependencies)),
      ]),
    ),
    route(app, closing) {
      const serving = {
        answerer: { ...model, closing },
        refuseCaller: (authorization: string | undefined, headers: AzureHeaders) =>
          refuseCaller(authorization, rules, principals, headers, dependencies),
      }
      for (const operation of OPERATIONS) serveOperation(app, operation, serving)
      app.notFound((c) => refuseAsAzure(AZURE_ERRORS.not_found, {}, azureHeaders(c.req.raw.headers, dependencies)))
    },
  }
}

async function refuseCaller(
  authorization: string | undefined,
  rules: TokenRules,
  principals: ReadonlySet<string>,
  headers: AzureHeaders,
  { now }: Dependencies,
): Promise<Outcome | undefined> {
  const principal = await readPrincipal(authorization, rules, now())
  const error = denial(principal, principals)
  return error && { response: refuseAsAzure(AZURE_ERRORS[error], SAMPLE_VALUES, headers), detail: { error } }
}

function denial(principal: Principal | undefined, principals: ReadonlySet<string>): AzureErrorName | undefined {
  if (principal === undefined) return 'unauthorized'
  if (!principal.isOfTenant) return 'other_tenant'
  return principals.has(principal.objectId) ? undefined : 'permission_denied'
}

/** The values in the text of an error that a fault returns. */
const SAMPLE_VALUES = {
  operation: chatCompletions.name,
  verb: chatCompletions.verb,
  apiVersion: 'v1',
  model: AZURE.model,
  tenant: ENTRA.tenantId,
  retryAfterSeconds: '10',
  contextWindow: '128000',
  promptTokens: '130000',
  problem: 'Invalid body.',
  param: 'messages',
}

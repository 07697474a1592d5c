import type { Config } from '../../shared/config/config.ts'
import type { Deployment } from '../../shared/config/deployments.ts'
import type { AccessToken } from '../../shared/identity/renewal.ts'
import type { Failure } from '../../shared/job/failures.ts'
import type { Clock } from '../../shared/lib/clock.ts'
import { createAzureOpenAI } from '../../shared/models/azure-openai/azure-openai.ts'
import { findLowered } from '../../shared/models/azure-openai/read-limit.ts'
import type { ModelReply } from '../../shared/models/provider.ts'
import type { Checks, Finding } from './step.ts'

const ASK_TIMEOUT_MS = 10_000

/** A chat without a message: Azure rejects it only after it has checked identity, role and deployment. It costs nothing. */
const EMPTY_JOB = { url: '/v1/chat/completions', body: { messages: [] } } as const

/** Calls each deployment as the worker does, without cost. */
export async function checkDeployments(
  checks: Checks,
  { deployments, apiVersion, federation }: Config,
  token: AccessToken | undefined,
  { now, newId }: { readonly now: Clock; readonly newId: () => string },
): Promise<void> {
  const ask = createAzureOpenAI({ apiVersion, federation, now })
  for (const deployment of deployments) {
    const step = `Azure OpenAI ${deployment.name}`
    if (token === undefined) {
      checks.report(step, { ok: null, seen: `${deployment.endpoint} was not called: there is no token` })
      continue
    }
    await checks.run(step, async () => {
      const request = { job: EMPTY_JOB, deployment, clientRequestId: `doctor.${newId()}` }
      const reply = await ask(request, token.value, AbortSignal.timeout(ASK_TIMEOUT_MS))
      return judgeReply(reply, deployment, apiVersion)
    })
  }
}

/** Judges Azure's reply to a chat without a message. */
function judgeReply(reply: ModelReply, deployment: Deployment, apiVersion: string | undefined): Finding {
  const failure = reply.ok ? undefined : reply.failure
  const { endpoint } = deployment
  const where = `${endpoint} (${apiVersion === undefined ? 'v1 API' : `API version ${apiVersion}`})`
  if (failure === undefined || isReached(failure)) {
    const notes = describeLimits(failure, findLowered(reply.rateLimit, deployment))
    return {
      ok: true,
      seen: [`${where} accepts the worker, and has the deployment`, ...notes].join('; '),
      value: undefined,
    }
  }
  return {
    ok: false,
    seen: `${where}: ${saidBy(failure)}`,
    expected: `a deployment named ${deployment.deployment} that accepts the worker`,
    fix: fixOf(failure, deployment),
  }
}

/** What is to be known of the limits, although identity, role and deployment are right. */
function describeLimits(failure: Failure | undefined, lowered: string | undefined): readonly string[] {
  const refused = failure?.kind === 'throttled' && failure.limit !== 'lowered' ? [failure.message] : []
  return lowered === undefined ? refused : [...refused, `Azure allows ${lowered} now, less than DEPLOYMENTS says`]
}

/** Rejected because of the request itself or its quota: identity, role and deployment are right. */
function isReached({ kind, code, hint, fromService }: Failure): boolean {
  if (kind === 'throttled') return true
  // A gateway that rejects the request itself does not show whether the service accepts the caller.
  if (kind !== 'rejected' || fromService === undefined) return false
  // An embeddings deployment does not support chat, and reports that after it has accepted the caller.
  return hint === undefined || code === 'OperationNotSupported'
}

function saidBy({ httpStatus, code, message, requestId }: Failure): string {
  const codes = [httpStatus, code].filter((part) => part !== undefined).join(' ')
  const reference = requestId === undefined ? '' : ` (request id ${requestId})`
  return `${codes === '' ? '' : `${codes}, `}${message}${reference}`
}

function fixOf({ kind, hint }: Failure, { endpoint }: Deployment): string {
  if (kind === 'unreachable') {
    return `Nothing answers at ${endpoint}. Correct AZURE_OPENAI_ENDPOINT, or the endpoint in DEPLOYMENTS, to what the resource's "Keys and Endpoint" page shows; if it is right, check the network connection: DNS, a private endpoint, a firewall, a proxy, or a certificate authority of your own, which NODE_EXTRA_CA_CERTS must name.`
  }
  if (kind === 'ambiguous' || kind === 'unavailable') {
    return 'Azure OpenAI or a server in front of it failed. The cause may be temporary. If it persists, see https://azure.status.microsoft and check the endpoint.'
  }
  return hint ?? 'Azure OpenAI rejects the request itself. Check OPENAI_API_VERSION and the endpoint.'
}

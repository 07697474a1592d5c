import type { Config } from '../../shared/config/config.ts'
import type { Deployment } from '../../shared/config/schema.ts'
import type { AccessToken } from '../../shared/identity/renewal.ts'
import type { Failure } from '../../shared/job/failures.ts'
import { createAzureOpenAI } from '../../shared/models/azure-openai/azure-openai.ts'
import type { Finding, Walk } from './step.ts'

const ASK_TIMEOUT_MS = 10_000

/** A chat without a message: Azure says what is wrong with it once identity, role and deployment are right. It costs nothing. */
const EMPTY_JOB = { url: '/v1/chat/completions', body: { messages: [] } } as const

/** Asks each deployment as the worker does, for nothing. */
export async function checkDeployments(
  walk: Walk,
  { deployments, apiVersion, federation }: Config,
  token: AccessToken | undefined,
  { now, newId }: { readonly now: () => number; readonly newId: () => string },
): Promise<void> {
  const ask = createAzureOpenAI({ apiVersion, federation, now })
  for (const deployment of deployments) {
    const step = `Azure OpenAI ${deployment.deployment}`
    if (token === undefined) {
      walk.tell(step, { ok: null, seen: `${deployment.endpoint} was not asked: there is no token` })
      continue
    }
    await walk.take(step, async () => {
      const request = { job: EMPTY_JOB, deployment, clientRequestId: `doctor.${newId()}` }
      const reply = await ask(request, token.value, AbortSignal.timeout(ASK_TIMEOUT_MS))
      return judgeReply(reply.ok ? undefined : reply.failure, deployment, apiVersion)
    })
  }
}

/** Reads what Azure said to a chat without a message; undefined where it answered it. */
function judgeReply(failure: Failure | undefined, deployment: Deployment, apiVersion: string | undefined): Finding {
  const { endpoint } = deployment
  const where = `${endpoint} (${apiVersion === undefined ? 'v1 API' : `API version ${apiVersion}`})`
  if (failure === undefined || isReached(failure)) {
    return { ok: true, seen: `${where} lets the worker in, and has the deployment`, value: undefined }
  }
  return {
    ok: false,
    seen: `${where}: ${saidBy(failure)}`,
    expected: `a deployment named ${deployment.deployment} that lets the worker in`,
    fix: fixOf(failure, deployment),
  }
}

/** Refused for what the request says, or for its quota: identity, role and deployment are right. */
function isReached({ kind, code, hint, fromService }: Failure): boolean {
  if (kind === 'throttled') return true
  // A gateway that refuses the request by itself has not asked the service who the caller is.
  if (kind !== 'rejected' || fromService === undefined) return false
  // An embeddings deployment does not chat, and says so once it has let the caller in.
  return hint === undefined || code === 'OperationNotSupported'
}

function saidBy({ httpStatus, code, message, requestId }: Failure): string {
  const codes = [httpStatus, code].filter((part) => part !== undefined).join(' ')
  const reference = requestId === undefined ? '' : ` (request id ${requestId})`
  return `${codes === '' ? '' : `${codes}, `}${message}${reference}`
}

function fixOf({ kind, hint }: Failure, { endpoint }: Deployment): string {
  if (kind === 'unreachable') {
    return `Nothing answers at ${endpoint}. Correct AZURE_OPENAI_ENDPOINT, or the endpoint in DEPLOYMENTS, to what the resource's "Keys and Endpoint" page shows; if it is right, check the network's way there: DNS, a private endpoint, a firewall, a proxy, or a certificate authority of your own, which NODE_EXTRA_CA_CERTS names.`
  }
  if (kind === 'ambiguous' || kind === 'unavailable') {
    return 'Azure OpenAI failed, or something on the way there did. It may end by itself; if it lasts, see https://azure.status.microsoft and check the endpoint.'
  }
  return hint ?? 'Azure OpenAI refuses the request itself. Check OPENAI_API_VERSION and the endpoint.'
}

import { resourceOf } from '../config/deployments.ts'
import type { AccessTokenSource } from '../identity/access-token-source.ts'
import type { AccessToken } from '../identity/renewal.ts'
import { TokenError } from '../identity/token-error.ts'
import type { Failure } from '../job/failures.ts'
import { defined } from '../lib/defined.ts'
import { type ModelProvider, type ModelReply, type ModelRequest, NotReadyError } from './provider.ts'
import { tokenEvidence } from './token-evidence.ts'

/** Sends a request with this bearer token, once. Never rejects. */
export type AskWithToken = (request: ModelRequest, token: string, signal: AbortSignal) => Promise<ModelReply>

/** Asks with the access token that all jobs of an instance share, and reports to its source which resource accepts it. */
export function createBearerProvider(
  tokens: Pick<AccessTokenSource, 'get' | 'accepted' | 'refused'>,
  ask: AskWithToken,
): ModelProvider {
  /** Whether the token was dropped, so that another one may be accepted. */
  function learn(token: AccessToken, resource: string, failure: Failure | undefined): boolean {
    switch (tokenEvidence(failure)) {
      case 'accepted':
        tokens.accepted(token, resource)
        return false
      case 'refused':
        return !tokens.refused(token, resource)
      case 'unknown':
        return false
    }
  }

  return {
    async ready(deployment, signal, options) {
      const token = await tokens.get(signal, options).catch(rejectNotReady)
      const resource = resourceOf(deployment)
      return async (request, sendSignal) => {
        const reply = await ask(request, token.value, sendSignal)
        const isCredentialReplaced = learn(token, resource, reply.ok ? undefined : reply.failure)
        return isCredentialReplaced ? { ...reply, isCredentialReplaced } : reply
      }
    },
  }
}

function rejectNotReady(error: unknown): never {
  throw error instanceof TokenError ? new NotReadyError(tokenFailure(error), error) : error
}

/** Converts a missing token, or a resource that refuses tokens, to the job's failure. */
function tokenFailure({ leg, message, details }: TokenError): Failure {
  const { code, httpStatus, correlationId, retryAfterMs, hint } = details
  return {
    kind: leg === 'azure_refused' ? 'unauthorized' : 'token',
    message,
    ...defined({ code, hint, httpStatus, requestId: correlationId, retryAfterMs }),
  }
}

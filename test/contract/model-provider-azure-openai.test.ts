import { createAccessTokenSource } from '../../shared/identity/access-token-source.ts'
import { TokenError } from '../../shared/identity/token-error.ts'
import { MAX_ANSWER_BYTES } from '../../shared/models/azure-openai/answer-size.ts'
import { createAzureOpenAI } from '../../shared/models/azure-openai/azure-openai.ts'
import { createBearerProvider } from '../../shared/models/bearer-provider.ts'
import { aDeployment } from '../support/deployment-builders.ts'
import { describeModelProvider } from './model-provider-contract.ts'

const federation = { tenantId: 't', clientId: 'c', authorityHost: 'https://login.test', scope: 's', audience: 'a' }

function sourceOf(credential: { held: string } | 'absent') {
  return createAccessTokenSource({
    async fetchToken() {
      if (credential === 'absent') throw new TokenError('entra_exchange', 'Entra answered 503')
      return { value: credential.held, fetchedAt: Date.now(), expiresAt: Date.now() + 3_600_000 }
    },
    diagnose: () => ({ nature: 'configuration', hint: '' }),
    now: Date.now,
    random: () => 1,
  })
}

describeModelProvider('azure-openai', {
  open: (credential) =>
    createBearerProvider(sourceOf(credential), createAzureOpenAI({ apiVersion: undefined, federation, now: Date.now })),
  deploymentAt: (endpoint) => aDeployment({ endpoint }),
  job: { url: '/v1/chat/completions', body: { messages: [{ role: 'user', content: 'What is a bridge?' }] } },
  answer: JSON.stringify({ choices: [{ finish_reason: 'stop', message: { content: 'A way over water.' } }] }),
  headers: ['accept', 'authorization', 'content-type', 'user-agent', 'x-ms-client-request-id'],
  refusals: [
    { what: 'a refused token', status: 401, body: { code: '401' }, kind: 'unauthorized' },
    { what: 'a missing role', status: 401, body: { code: 'PermissionDenied' }, kind: 'forbidden' },
    { what: 'a missing deployment', status: 404, body: { code: 'DeploymentNotFound' }, kind: 'no_deployment' },
    { what: 'a bad request', status: 400, body: { code: 'invalid_value', message: 'no' }, kind: 'rejected' },
    { what: 'a used up quota', status: 429, body: { code: '429' }, headers: { 'retry-after': '7' }, kind: 'throttled' },
    { what: 'a server error', status: 500, body: { code: 'InternalServerError' }, kind: 'unavailable' },
    { what: 'an overloaded service', status: 503, kind: 'unavailable' },
  ],
  maxAnswerBytes: MAX_ANSWER_BYTES,
})

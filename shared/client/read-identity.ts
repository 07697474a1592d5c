import { z } from 'zod'
import { azureClouds } from '../config/azure-clouds.ts'
import type { Environment } from '../config/rules.ts'
import { settings } from '../config/schema.ts'
import { hostProblem } from '../config/token-hosts.ts'
import type { TokenSettings } from '../identity/token-fetcher.ts'

const { AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLOUD, AZURE_AUTHORITY_HOST, AZURE_FEDERATED_AUDIENCE, TOKEN_SOURCE } =
  settings.shape

/** Uses the rules of the worker's settings. */
const identity = z
  .object({
    tenantId: AZURE_TENANT_ID,
    clientId: AZURE_CLIENT_ID,
    cloud: AZURE_CLOUD,
    tokenSource: TOKEN_SOURCE,
    authorityHost: AZURE_AUTHORITY_HOST,
    audience: AZURE_FEDERATED_AUDIENCE,
  })
  .refine(({ clientId, tokenSource }) => clientId !== undefined || tokenSource.kind === 'azure-cli', {
    path: ['clientId'],
    error: 'is missing',
  })

/**
 * Reads the caller's identity. Reads from the environment the address of the metadata server, and whether hosts other than
 * Microsoft's are trusted. Throws an Error that names every problem.
 */
export function readIdentity(given: object, environment: Environment): TokenSettings {
  const parsed = identity.safeParse(given)
  if (!parsed.success) throw new Error(`This is no identity:\n${z.prettifyError(parsed.error)}`)
  const { tenantId, clientId = '', cloud, tokenSource, ...own } = parsed.data
  const { authorityHost, federatedAudience, openAIScope } = azureClouds[cloud]
  if (own.authorityHost !== undefined && environment['ALLOW_CUSTOM_HOSTS'] !== 'true') {
    const address = { name: 'authorityHost', receiver: 'authority', url: new URL(own.authorityHost) } as const
    const problem = hostProblem({ ...address, isFromFile: false }, cloud)
    if (problem !== undefined) throw new Error(`This is no identity:\n${problem}`)
  }
  return {
    federation: {
      tenantId,
      clientId,
      authorityHost: own.authorityHost ?? authorityHost,
      audience: own.audience ?? federatedAudience,
      scope: openAIScope,
    },
    tokenSource,
    metadataHost: environment['GCE_METADATA_HOST'],
  }
}

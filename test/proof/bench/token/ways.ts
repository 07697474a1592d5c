import { ClientAssertionCredential, getBearerTokenProvider } from '@azure/identity'
import { Compute } from 'google-auth-library'
import { z } from 'zod'
import { createAccessTokenSource } from '../../../../shared/identity/access-token-source.ts'
import { openTokenFetcher } from '../../../../shared/identity/token-fetcher.ts'
import { diagnose } from '../../../../shared/models/azure-openai/explain-refused-token.ts'

/** Gives a token that all callers share, or one that only some of them do. */
export type GetToken = () => Promise<string>

export const PROVIDER = 'getBearerTokenProvider'
export const PLAIN = 'credential.getToken'
export const OURS = 'ours'

const AUDIENCE = 'api://AzureADTokenExchange'
const SCOPE = 'https://cognitiveservices.azure.com/.default'

const environment = z.object({
  AZURE_TENANT_ID: z.string(),
  AZURE_CLIENT_ID: z.string(),
  AZURE_AUTHORITY_HOST: z.string(),
  GCE_METADATA_HOST: z.string(),
})

/** Each way to a token from Google Cloud to Azure, made for each measurement as an instance makes it when it starts. */
export const ways: Readonly<Record<string, () => GetToken>> = {
  [PROVIDER]: () => getBearerTokenProvider(credential(), SCOPE),
  [PLAIN]() {
    const shared = credential()
    return async () => (await shared.getToken(SCOPE)).token
  },
  [OURS]: ours,
}

/** As Microsoft's and Google's documentation put it together. */
function credential(): ClientAssertionCredential {
  const { AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_AUTHORITY_HOST } = environment.parse(process.env)
  return new ClientAssertionCredential(
    AZURE_TENANT_ID,
    AZURE_CLIENT_ID,
    () => new Compute().fetchIdToken(encodeURIComponent(AUDIENCE)),
    { authorityHost: AZURE_AUTHORITY_HOST, disableInstanceDiscovery: true },
  )
}

function ours(): GetToken {
  const settings = environment.parse(process.env)
  const federation = {
    tenantId: settings.AZURE_TENANT_ID,
    clientId: settings.AZURE_CLIENT_ID,
    authorityHost: settings.AZURE_AUTHORITY_HOST,
    scope: SCOPE,
    audience: AUDIENCE,
  }
  // Not the function as it is now: the bench moves the clock.
  const now = () => Date.now()
  const metadataHost = settings.GCE_METADATA_HOST
  const fetchToken = openTokenFetcher({ federation, tokenSource: { kind: 'metadata-server' }, metadataHost }, now)
  const { get } = createAccessTokenSource({
    fetchToken,
    diagnose: (error) => diagnose(error, federation),
    now,
    random: Math.random,
  })
  const never = new AbortController().signal
  return async () => (await get(never)).value
}

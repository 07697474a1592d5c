import { ClientAssertionCredential, getBearerTokenProvider } from '@azure/identity'
import { Compute } from 'google-auth-library'
import OpenAI from 'openai'
import { z } from 'zod'
import type { readJob } from './push.ts'

const environment = z
  .object({
    AZURE_TENANT_ID: z.string(),
    AZURE_CLIENT_ID: z.string(),
    AZURE_AUTHORITY_HOST: z.string(),
    AZURE_OPENAI_ENDPOINT: z.string(),
    AZURE_OPENAI_DEPLOYMENT: z.string(),
    CLIENT_RETRIES: z.coerce.number().int().optional(),
  })
  .parse(process.env)

const AUDIENCE = 'api://AzureADTokenExchange'
const SCOPE = 'https://cognitiveservices.azure.com/.default'

/** The libraries as their documentation puts them together: a Google ID token, exchanged for Azure's, cached by them. */
const credential = new ClientAssertionCredential(
  environment.AZURE_TENANT_ID,
  environment.AZURE_CLIENT_ID,
  () => new Compute().fetchIdToken(encodeURIComponent(AUDIENCE)),
  { authorityHost: environment.AZURE_AUTHORITY_HOST, disableInstanceDiscovery: true },
)
const openai = new OpenAI({
  baseURL: `${environment.AZURE_OPENAI_ENDPOINT}/openai/v1/`,
  apiKey: getBearerTokenProvider(credential, SCOPE),
  ...(environment.CLIENT_RETRIES === undefined ? {} : { maxRetries: environment.CLIENT_RETRIES }),
})

/** Asks the model and gives its answer. Rejects with the client's errors. */
export async function askOpenAI({ body }: ReturnType<typeof readJob>): Promise<OpenAI.ChatCompletion> {
  return await openai.chat.completions.create({ ...body, model: environment.AZURE_OPENAI_DEPLOYMENT })
}

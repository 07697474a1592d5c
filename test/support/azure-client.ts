import { ClientAssertionCredential } from '@azure/identity'
import { Compute } from 'google-auth-library'
import OpenAI, { APIError } from 'openai'
import { AZURE, ENTRA } from '../../local/identities.ts'
import { type Cloud, type CloudOverrides, startCloud } from './stand-ins.ts'

/** An access token as the worker gets it. */
export async function tokenFor(cloud: Cloud): Promise<string> {
  const assertion = () => new Compute().fetchIdToken(ENTRA.assertionAudience)
  const options = { authorityHost: cloud.entra.url, disableInstanceDiscovery: true }
  const credential = new ClientAssertionCredential(ENTRA.tenantId, ENTRA.clientId, assertion, options)
  return (await credential.getToken(AZURE.scope)).token
}

/** OpenAI's own client on the v1 API. */
export function clientFor(cloud: Cloud, token: string): OpenAI {
  return new OpenAI({ baseURL: `${cloud.azure.url}/openai/v1/`, apiKey: async () => token, maxRetries: 0 })
}

export async function startWithClient(overrides?: CloudOverrides) {
  const cloud = await startCloud(overrides)
  return { cloud, client: clientFor(cloud, await tokenFor(cloud)), [Symbol.asyncDispose]: cloud.close }
}

/** The error with which the client's call ends. */
export async function failureOf(call: Promise<unknown>): Promise<InstanceType<typeof APIError>> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error instanceof APIError) return error
  throw new Error('the call was to fail with an APIError', { cause: error })
}

import type { Dependencies } from '../dependencies.ts'
import type { AzureError } from '../fixtures/azure-denials.ts'
import { AZURE } from '../identities.ts'

/** The headers of every answer: the ids that support needs, and the caller's own id unchanged. */
export interface AzureHeaders extends Record<string, string> {
  readonly 'apim-request-id': string
}

export function azureHeaders(requestHeaders: Headers, { newId }: Pick<Dependencies, 'newId'>): AzureHeaders {
  const apimRequestId = newId()
  return {
    'apim-request-id': apimRequestId,
    'x-request-id': newId(),
    'x-ms-client-request-id': requestHeaders.get('x-ms-client-request-id') ?? apimRequestId,
    'x-ms-region': AZURE.region,
    'x-content-type-options': 'nosniff',
    'strict-transport-security': 'max-age=31536000; includeSubDomains; preload',
  }
}

/** An error answer of Azure, with its placeholders filled. */
export function refuseAsAzure(
  { status, body }: AzureError,
  values: Readonly<Record<string, string>>,
  headers: AzureHeaders,
): Response {
  const known: Readonly<Record<string, string>> = { requestId: headers['apim-request-id'], ...values }
  const text = JSON.stringify(body).replaceAll(/\{(\w+)\}/g, (_, key: string) => {
    return JSON.stringify(known[key] ?? 'unknown').slice(1, -1)
  })
  return new Response(text, { status, headers: { ...headers, 'content-type': 'application/json' } })
}

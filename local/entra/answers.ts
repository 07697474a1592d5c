import type { Dependencies } from '../dependencies.ts'
import type { EntraError } from '../fixtures/entra-errors.ts'

/** Values of the request for the text of an error, by the name of the placeholder. */
export type ErrorValues = Readonly<Record<string, string>>

/** An error answer of Entra in Microsoft's format. The body, the headers and the text contain the same ids. */
export function refuse(
  { aadsts, status, error, text }: EntraError,
  values: ErrorValues,
  clientRequestId: string | undefined,
  { now, newId }: Pick<Dependencies, 'now' | 'newId'>,
): Response {
  const traceId = newId()
  const correlationId = clientRequestId ?? newId()
  const timestamp = `${new Date(now()).toISOString().slice(0, 19).replace('T', ' ')}Z`
  const said = text.replaceAll(/\{(\w+)\}/g, (_, key: string) => values[key] ?? 'unknown')
  return Response.json(
    {
      error,
      error_description: `AADSTS${aadsts}: ${said} Trace ID: ${traceId} Correlation ID: ${correlationId} Timestamp: ${timestamp}`,
      error_codes: [aadsts],
      timestamp,
      trace_id: traceId,
      correlation_id: correlationId,
      error_uri: `https://login.microsoftonline.com/error?code=${aadsts}`,
    },
    { status, headers: { ...entraHeaders(clientRequestId), 'x-ms-request-id': traceId } },
  )
}

/** The headers of every answer. The caller's own request id is returned unchanged. */
export function entraHeaders(clientRequestId: string | undefined): Record<string, string> {
  const echo = clientRequestId === undefined ? {} : { 'client-request-id': clientRequestId }
  return { 'cache-control': 'no-store, no-cache', pragma: 'no-cache', ...echo }
}

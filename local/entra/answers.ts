import type { Dependencies } from '../dependencies.ts'
import type { EntraError } from '../fixtures/entra-errors.ts'

/** What an error's text tells of the request, by the name of its placeholder. */
export type ErrorValues = Readonly<Record<string, string>>

/** One of Entra's error answers, in Microsoft's form: the same ids stand in the body, the headers and the text. */
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

/** The headers of every answer; the caller's own request id comes back as it was sent. */
export function entraHeaders(clientRequestId: string | undefined): Record<string, string> {
  const echo = clientRequestId === undefined ? {} : { 'client-request-id': clientRequestId }
  return { 'cache-control': 'no-store, no-cache', pragma: 'no-cache', ...echo }
}

/** An error of a Google API. https://cloud.google.com/apis/design/errors */
export function googleError(code: number, status: string, message: string): Response {
  return Response.json({ error: { code, message, status } }, { status: code })
}

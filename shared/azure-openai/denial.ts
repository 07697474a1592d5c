/** Azure's code where the resource belongs to another tenant: https://github.com/Azure-Samples/ai-rag-chat-evaluator/issues/94 */
const OTHER_TENANT = 'Tenant provided in token does not match resource token'

/** Why Azure, which knows the caller, does not let it in. */
export type Denial = 'role' | 'tenant'

/** Reads a denial from an answer's status and code; undefined where it is none. */
export function readDenial(httpStatus: number | undefined, code: string | undefined): Denial | undefined {
  // A role that has not spread yet is a 401 too, for minutes: the token is good, and renewing it would not help.
  if (code === 'PermissionDenied' || httpStatus === 403) return 'role'
  // It comes as a 400, and yet it is no fault of the request.
  return code === OTHER_TENANT ? 'tenant' : undefined
}

/** Azure's code if the resource belongs to another tenant: https://github.com/Azure-Samples/ai-rag-chat-evaluator/issues/94 */
const OTHER_TENANT = 'Tenant provided in token does not match resource token'
const PERMISSION_DENIED = 'PermissionDenied'

/**
 * The part of the configuration that denies the caller the resource.
 *
 * - role: the caller has no role on the resource
 * - tenant: the resource belongs to another tenant
 * - network: the resource's network rules refuse the address that the request came from
 * - volume: a resource of the free tier has used up its calls for days
 * - subdomain: the endpoint does not belong to the resource, and accepts no Entra tokens
 * - redirect: the endpoint redirects to another address
 */
export type Denial = 'role' | 'tenant' | 'network' | 'volume' | 'subdomain' | 'redirect'

/** Used only for answers with 403, which always deny the caller. */
const NETWORK = /virtual network|firewall|public (?:network )?access is disabled|private endpoint/i
const VOLUME = /^Out of call volume quota\b/i
/** Matches only at the beginning of a message, because its rest may quote the prompt. */
const SUBDOMAIN = /^(?:Please provide a custom subdomain\b|Resource Id is badly formed\b)/i
/** A name of Azure's own, as in Microsoft.CognitiveServices/accounts/OpenAI/responses/write. */
const DATA_ACTION_IN_MESSAGE = /\bdata action `?(Microsoft\.CognitiveServices\/[\w/-]{1,150})/
const DATA_ACTION_IN_CODE = /: (Microsoft\.CognitiveServices\/[\w/-]{1,150})$/

/** Reads a denial from an answer's status, code and message, or returns undefined if it is none. */
export function readDenial(httpStatus: number | undefined, code: string | undefined, message = ''): Denial | undefined {
  if (httpStatus !== undefined && httpStatus >= 300 && httpStatus < 400) return 'redirect'
  // A new role assignment is also answered with 401 for some minutes. The token is valid, and renewing it would not help.
  if (code === PERMISSION_DENIED || code?.startsWith(`${PERMISSION_DENIED}: `)) return 'role'
  if (httpStatus === 403) return denialOf403(message)
  // Azure answers these with a 400, although the request is valid.
  if (code === OTHER_TENANT) return 'tenant'
  return httpStatus === 400 && SUBDOMAIN.test(message) ? 'subdomain' : undefined
}

function denialOf403(message: string): Denial {
  if (VOLUME.test(message)) return 'volume'
  return NETWORK.test(message) ? 'network' : 'role'
}

/** Adds to a code the right that Azure's newer answers name as missing, as in `PermissionDenied: DATA_ACTION`. */
export function withDataAction(code: string | undefined, message: string): string | undefined {
  const dataAction = DATA_ACTION_IN_MESSAGE.exec(message)?.[1]
  return code === undefined || dataAction === undefined ? code : `${code}: ${dataAction}`
}

/** Reads the right from such a code, or returns undefined if there is none. */
export function dataActionIn(code: string): string | undefined {
  return DATA_ACTION_IN_CODE.exec(code)?.[1]
}

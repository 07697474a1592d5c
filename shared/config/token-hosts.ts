import { type AzureCloud, azureClouds, cloudOf, type TokenReceiver } from './azure-clouds.ts'

/** An address that tokens are sent to. */
export interface TokenAddress {
  /** The setting that holds it. */
  readonly name: string
  readonly receiver: TokenReceiver
  readonly url: URL
  /** Whether the settings file says so. A folder that was copied from somewhere may hold one. */
  readonly isFromFile: boolean
}

/**
 * Returns why no token may be sent to an address, or undefined if it is allowed.
 *
 * Allowed are the hosts of the chosen cloud, and this machine if the environment names it. The text contains no value.
 */
export function hostProblem(address: TokenAddress, cloud: AzureCloud): string | undefined {
  const { name, receiver, url, isFromFile } = address
  if (isLoopback(url.hostname)) return isFromFile ? `${name} ${LOOPBACK_IN_FILE}` : undefined
  const found = cloudOf(receiver, url)
  if (found === cloud) return undefined
  if (found !== undefined) {
    return `${name} is a host of AZURE_CLOUD=${found}, and AZURE_CLOUD is ${cloud}: set the cloud of the resource and its tenant.`
  }
  const known = receiver === 'authority' ? azureClouds[cloud].authorities : azureClouds[cloud].resources
  const listed = known.map((host) => (receiver === 'authority' ? host : `*.${host}`)).join(', ')
  return `${name} is no known host of AZURE_CLOUD=${cloud} (${listed}), and tokens are sent to it. ${HOW_TO_ALLOW}`
}

const HOW_TO_ALLOW =
  'Correct it, or set ALLOW_CUSTOM_HOSTS=true in the environment to trust it, as API Management in front of a resource needs.'

const LOOPBACK_IN_FILE =
  'is an address of this machine, which is taken from the environment only: what listens there gets tokens. Set it in the environment.'

/** Whether only this machine can reach a server at this host: localhost, ::1, or any of 127.0.0.0/8. */
export function isLoopback(host: string): boolean {
  return /^(localhost|::1|\[::1\]|127(\.\d{1,3}){3})$/.test(host)
}

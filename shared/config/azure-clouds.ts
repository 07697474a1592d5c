/**
 * Microsoft's clouds: each has its own Entra, and its own names for what is asked there.
 *
 * The first of `authorities` is the one that is used; MSAL knows the others as well. A resource of Azure OpenAI has one
 * name before each of the `resources`, see https://learn.microsoft.com/azure/private-link/private-endpoint-dns.
 */
export const azureClouds = {
  public: {
    authorityHost: 'https://login.microsoftonline.com',
    federatedAudience: 'api://AzureADTokenExchange',
    openAIScope: 'https://cognitiveservices.azure.com/.default',
    authorities: ['login.microsoftonline.com', 'login.windows.net'],
    resources: ['openai.azure.com', 'cognitiveservices.azure.com', 'services.ai.azure.com'],
  },
  'us-government': {
    authorityHost: 'https://login.microsoftonline.us',
    federatedAudience: 'api://AzureADTokenExchangeUSGov',
    openAIScope: 'https://cognitiveservices.azure.us/.default',
    authorities: ['login.microsoftonline.us', 'login.usgovcloudapi.net'],
    resources: ['openai.azure.us', 'cognitiveservices.azure.us', 'services.ai.azure.us'],
  },
  china: {
    authorityHost: 'https://login.partner.microsoftonline.cn',
    federatedAudience: 'api://AzureADTokenExchangeChina',
    openAIScope: 'https://cognitiveservices.azure.cn/.default',
    authorities: ['login.partner.microsoftonline.cn', 'login.chinacloudapi.cn'],
    resources: ['openai.azure.cn', 'cognitiveservices.azure.cn', 'services.ai.azure.cn'],
  },
} as const

export type AzureCloud = keyof typeof azureClouds

export const azureCloudNames = ['public', 'us-government', 'china'] as const satisfies readonly AzureCloud[]

/** What tokens are sent to: Entra, or a resource of Azure OpenAI. */
export type TokenReceiver = 'authority' | 'resource'

/** Finds the cloud that a host is of, by its whole name or by a dot and the name it ends in; undefined: none. */
export function cloudOf(receiver: TokenReceiver, { protocol, hostname, port }: URL): AzureCloud | undefined {
  if (protocol !== 'https:' || port !== '') return undefined
  return azureCloudNames.find((cloud) => {
    const { authorities, resources } = azureClouds[cloud]
    if (receiver === 'authority') return authorities.some((known) => known === hostname)
    return resources.some((known) => hostname.endsWith(`.${known}`) && !hostname.startsWith('.'))
  })
}

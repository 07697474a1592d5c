/** Microsoft's clouds: each has its own Entra, and its own names for what is asked there. */
export const azureClouds = {
  public: {
    authorityHost: 'https://login.microsoftonline.com',
    federatedAudience: 'api://AzureADTokenExchange',
    openAIScope: 'https://cognitiveservices.azure.com/.default',
  },
  'us-government': {
    authorityHost: 'https://login.microsoftonline.us',
    federatedAudience: 'api://AzureADTokenExchangeUSGov',
    openAIScope: 'https://cognitiveservices.azure.us/.default',
  },
  china: {
    authorityHost: 'https://login.partner.microsoftonline.cn',
    federatedAudience: 'api://AzureADTokenExchangeChina',
    openAIScope: 'https://cognitiveservices.azure.cn/.default',
  },
} as const

export type AzureCloud = keyof typeof azureClouds

export const azureCloudNames = ['public', 'us-government', 'china'] as const satisfies readonly AzureCloud[]

/** Older names of the same authorities, which MSAL knows as well. */
const ALIASES = ['login.windows.net', 'login.usgovcloudapi.net', 'login.chinacloudapi.cn']

const HOSTS = [...Object.values(azureClouds).map(({ authorityHost }) => new URL(authorityHost).host), ...ALIASES]

/** Whether an authority is one of Microsoft's own. */
export function isMicrosoft(authorityHost: string): boolean {
  return HOSTS.includes(new URL(authorityHost).host)
}

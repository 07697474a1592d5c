/**
 * The step of a token request that failed. Google issues an ID token, Entra exchanges it for an Azure token, and Azure
 * accepts that token. Off Google Cloud, the Azure CLI may replace the first two steps.
 */
export const tokenLegs = ['google_id_token', 'entra_exchange', 'azure_refused', 'azure_cli'] as const
export type TokenLeg = (typeof tokenLegs)[number]

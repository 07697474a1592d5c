/** The identity and the scope of a token request to Entra. */
export interface EntraSettings {
  readonly tenantId: string
  readonly clientId: string
  readonly authorityHost: string
  readonly scope: string
}

export interface FederationSettings extends EntraSettings {
  /** The audience that the federated credential in Entra expects. */
  readonly audience: string
}

/** The identities that all stand-ins and tests use. None of them exists. */

export const GOOGLE = {
  issuer: 'https://accounts.google.com',
  projectId: 'promptbridge-local',
  projectNumber: '418026553071',
  region: 'europe-west1',
  instanceId: '00c61b117c05d1f5a9b2',
  serviceAccountEmail: 'worker@promptbridge-local.iam.gserviceaccount.com',
  /** The service account's unique id, which a federated credential names instead of the e-mail. */
  subject: '104512340987612345678',
} as const

export const ENTRA = {
  tenantId: '5d3a1f0e-6a9b-4c1d-9f52-2b7f8e4c6a01',
  clientId: '9b1c7e52-0f4d-4f0a-8c36-d1a5e7f3b902',
  /** The service principal's object id, which Azure's role assignments name. */
  objectId: 'c4f2d8a6-3e71-4b95-a0d8-6f1b9c2e7d03',
  assertionAudience: 'api://AzureADTokenExchange',
} as const

export const AZURE = {
  resource: 'https://cognitiveservices.azure.com',
  scope: 'https://cognitiveservices.azure.com/.default',
  region: 'Sweden Central',
  deployment: 'gpt-4o-mini',
  model: 'gpt-4o-mini-2024-07-18',
  embeddingDeployment: 'text-embedding-3-small',
} as const

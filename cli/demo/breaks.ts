import type { TokenLeg } from '../../shared/job/token-leg.ts'

/** One wrong setting, and its expected result. */
export interface Break {
  /** What is wrong, in a sentence. */
  readonly story: string
  /** Settings of the stand-ins that are wrong at Google, Entra or Azure; see `wrong` in local/main.ts. */
  readonly elsewhere?: Readonly<Record<string, unknown>>
  /** Settings of the worker and of the doctor. `closed`: HOST:PORT where nothing listens. */
  readonly settings?: (closed: string) => Readonly<Record<string, string>>
  /** The names of the doctor's steps that fail, without the name of a deployment. */
  readonly fails: readonly string[]
  /** The fix that the doctor prints. */
  readonly fix: RegExp
  /** The leg in `tokenFailures`; absent when no token fails. */
  readonly leg?: TokenLeg
  /** How many token requests Entra may receive while the worker runs: [least, most]. */
  readonly exchanges: readonly [number, number]
  /** The worker finds it at the start, and does not start. */
  readonly isRefusedAtStart?: true
}

const UNKNOWN_ID = '11111111-2222-4333-8444-555555555555'
const CLOCK_MS = 2 * 60 * 60 * 1_000

const NONE = [0, 0] as const
/** Entra returns a valid token. */
const ONE = [1, 1] as const
/** The random wait after a failure is a minute or more, so a retry is rare in this time. */
const HARDLY_MORE = [1, 4] as const
/** A setting that may still be propagating is retried every few seconds. */
const A_FEW = [1, 8] as const
/** An expired ID token is dropped, and the exchange is retried at once with a new one. */
const TWICE_AS_MANY = [2, 8] as const

const entra = { fails: ['Entra'], leg: 'entra_exchange', exchanges: HARDLY_MORE } as const
const azure = { fails: ['Azure OpenAI'], exchanges: ONE } as const

/** What `--break` may name. */
export const breaks: ReadonlyMap<string, Break> = new Map<string, Break>([
  [
    'subject',
    {
      ...entra,
      story: "The federated credential's Subject is the service account's e-mail, not its unique id.",
      elsewhere: { credential: { subject: 'worker@promptbridge-local.iam.gserviceaccount.com' } },
      fix: /Set Subject of the federated credential of application \S+ to \d+ \(the unique id/,
      exchanges: A_FEW,
    },
  ],
  [
    'audience',
    {
      ...entra,
      story: "The federated credential's Audience is that of another cloud.",
      elsewhere: { credential: { audience: 'api://AzureADTokenExchangeUSGov' } },
      fix: /Set Audience of the federated credential of application \S+ to api:\/\/AzureADTokenExchange,/,
    },
  ],
  [
    'issuer',
    {
      ...entra,
      story: "The federated credential's Issuer ends in a slash.",
      elsewhere: { credential: { issuer: 'https://accounts.google.com/' } },
      fix: /Set Issuer of the federated credential of application \S+ to https:\/\/accounts\.google\.com\. /,
    },
  ],
  [
    'no-credential',
    {
      ...entra,
      story: 'The app registration has no federated credential.',
      elsewhere: { credential: null },
      fix: /has no federated credential\. Add one .* with Issuer https:\/\/accounts\.google\.com, Subject \d+ /,
    },
  ],
  [
    'client',
    {
      ...entra,
      story: 'AZURE_CLIENT_ID names an application that the tenant does not have.',
      settings: () => ({ AZURE_CLIENT_ID: UNKNOWN_ID }),
      fix: /has no application 11111111\S+\. Set AZURE_CLIENT_ID to the Application \(client\) ID/,
    },
  ],
  [
    'tenant',
    {
      ...entra,
      story: 'AZURE_TENANT_ID names a tenant that does not exist.',
      settings: () => ({ AZURE_TENANT_ID: UNKNOWN_ID }),
      fix: /knows no tenant 11111111\S+\. Set AZURE_TENANT_ID to the Directory \(tenant\) ID/,
    },
  ],
  [
    'scope',
    {
      ...entra,
      story: 'AZURE_OPENAI_SCOPE names a resource that the tenant does not have.',
      settings: () => ({ AZURE_OPENAI_SCOPE: 'https://openai.example.com/.default' }),
      fix: /Set AZURE_OPENAI_SCOPE to RESOURCE\/\.default, in the same cloud as the tenant/,
    },
  ],
  [
    'cloud',
    {
      ...entra,
      story: 'AZURE_CLOUD is us-government, and tenant and resource are in the public cloud.',
      settings: () => ({ AZURE_CLOUD: 'us-government' }),
      fix: /Set AZURE_OPENAI_SCOPE .* https:\/\/cognitiveservices\.azure\.com\/\.default \(public\)/,
    },
  ],
  [
    'authority',
    {
      ...entra,
      story: 'AZURE_AUTHORITY_HOST is an address where nothing answers.',
      settings: (closed) => ({ AZURE_AUTHORITY_HOST: `https://${closed}` }),
      fix: /No answer came from Entra at https:\/\/127\.0\.0\.1:\d+\. .*AZURE_AUTHORITY_HOST/,
      exchanges: NONE,
    },
  ],
  [
    'role',
    {
      ...azure,
      story: 'The app registration has no role on the Azure OpenAI resource.',
      elsewhere: { isRoleMissing: true },
      fix: /Give the app registration \S+ the role "Cognitive Services OpenAI User" on the Azure OpenAI resource/,
      leg: 'azure_refused',
    },
  ],
  [
    'resource-tenant',
    {
      ...azure,
      story: 'The Azure OpenAI resource belongs to another tenant than the app registration.',
      elsewhere: { resourceTenantId: UNKNOWN_ID },
      fix: /Set AZURE_TENANT_ID to the tenant of the resource's subscription/,
      leg: 'azure_refused',
    },
  ],
  [
    'deployment',
    {
      ...azure,
      story: 'AZURE_OPENAI_DEPLOYMENT names a deployment that the resource does not have.',
      settings: () => ({ AZURE_OPENAI_DEPLOYMENT: 'gpt-nowhere' }),
      fix: /Create the deployment, or correct its name in AZURE_OPENAI_DEPLOYMENT/,
      leg: 'azure_refused',
    },
  ],
  [
    'endpoint',
    {
      ...azure,
      story: 'AZURE_OPENAI_ENDPOINT is an address where nothing answers.',
      settings: (closed) => ({ AZURE_OPENAI_ENDPOINT: `http://${closed}` }),
      fix: /Nothing answers at http:\/\/127\.0\.0\.1:\d+\. Correct AZURE_OPENAI_ENDPOINT/,
    },
  ],
  [
    'service-account',
    {
      story: 'No service account is attached to the Cloud Run service.',
      elsewhere: { isServiceAccountMissing: true },
      fails: ['Google ID token'],
      fix: /attach one to the service \(gcloud run services update SERVICE --service-account=EMAIL\)/,
      leg: 'google_id_token',
      exchanges: NONE,
    },
  ],
  [
    'clock',
    {
      story: "The machine's clock, and Entra's with it, is two hours ahead of Google's.",
      elsewhere: { googleAheadMs: -CLOCK_MS },
      fails: ['ID token claims', 'Entra'],
      fix: /This machine's clock is 120 min ahead of Google's/,
      leg: 'entra_exchange',
      exchanges: TWICE_AS_MANY,
    },
  ],
  [
    'key',
    {
      story: 'An API key is in the environment, although none is needed.',
      settings: () => ({ AZURE_OPENAI_API_KEY: 'not-a-real-key' }),
      fails: ['settings'],
      fix: /AZURE_OPENAI_API_KEY is set: no key is needed or read here, .* Unset it\./,
      exchanges: NONE,
      isRefusedAtStart: true,
    },
  ],
])

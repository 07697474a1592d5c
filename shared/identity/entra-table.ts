import type { HintValues } from './hint-values.ts'
import type { FailureNature } from './token-error.ts'

interface Explanation {
  readonly nature: FailureNature
  readonly hint: (values: HintValues) => string
}

const JUST_SET = 'If you just did, allow 10 minutes.'
export const LASTS =
  'It ends by itself, and jobs are retried until then. If it lasts, see https://azure.status.microsoft, and give support the correlation id of the record.'

/** Google publishes its keys, so there is no setting to fix. */
export const keysUnreadable = ({ issuer }: HintValues): string =>
  `Entra could not read the keys with which ${issuer} signs ID tokens, so it could not check the worker's ID token. ${LASTS}`

const passing = (what: string): Explanation => ({ nature: 'passing', hint: () => `${what} ${LASTS}` })
const stale = (what: string): Explanation => ({
  nature: 'stale',
  hint: () =>
    `${what} The next try fetches a fresh one. If that is refused too, check the clock of the machine, and that nothing between the worker and Google or Entra keeps or changes tokens.`,
})
const toFix = (hint: Explanation['hint']): Explanation => ({ nature: 'configuration', hint })

const wrongSubject = ({ client, subject }: HintValues) =>
  `Set Subject of the federated credential of application ${client} to ${subject} (the unique id of the service account, not its e-mail). ${JUST_SET}`
const allThree = ({ issuer, subject, audience }: HintValues) =>
  `Issuer ${issuer}, Subject ${subject} (the unique id of the service account, not its e-mail) and Audience ${audience}`
const noCredential = (values: HintValues) =>
  `Application ${values.client} has no federated credential. Add one (App registrations, Certificates & secrets, Federated credentials, Other issuer) with ${allThree(values)}; or correct AZURE_CLIENT_ID, if it names another application. ${JUST_SET}`
const wrongScope = ({ scope }: HintValues) =>
  `The scope ${scope} is not one that Entra gives tokens for here. Set AZURE_OPENAI_SCOPE to RESOURCE/.default, in the same cloud as the tenant: https://cognitiveservices.azure.com/.default (public), https://cognitiveservices.azure.us/.default (US government) or https://cognitiveservices.azure.cn/.default (China).`
const wrongTenant = ({ tenant, authority }: HintValues) =>
  `${authority} knows no tenant ${tenant}. Set AZURE_TENANT_ID to the Directory (tenant) ID of the app registration; if it is right, the tenant is in another cloud: set AZURE_CLOUD to public, us-government or china.`
const unknownClient = ({ client, tenant }: HintValues) =>
  `Tenant ${tenant} has no application ${client}. Set AZURE_CLIENT_ID to the Application (client) ID of the app registration, not its object id, and AZURE_TENANT_ID to its tenant; if both are right, make its service principal: az ad sp create --id ${client}`
const anotherCloud = ({ tenant, authority }: HintValues) =>
  `Tenant ${tenant} is not in the cloud of ${authority}. Set AZURE_CLOUD to the tenant's: public, us-government or china.`
const ours = (what: string) => () =>
  `${what} Promptbridge always sends it, so look for a proxy on the way that changes requests, and report it with the correlation id of the record.`

/** What Entra's numbers mean. Only what Microsoft documents or was seen is listed; docs/federation.md has a row for each. */
export const AADSTS: ReadonlyMap<number, Explanation> = new Map([
  [50000, passing('Entra could not make the token (AADSTS50000).')],
  [50033, passing('Entra had a passing error (AADSTS50033).')],
  [50166, { nature: 'passing', hint: keysUnreadable }],
  [501661, { nature: 'passing', hint: keysUnreadable }],
  [90061, { nature: 'passing', hint: keysUnreadable }],
  [
    50196,
    passing(
      'Entra has had too many of the same request in a short time, and refuses more for now (AADSTS50196). Look for another program that asks for a token of this application with each call.',
    ),
  ],
  [90006, passing('A service that Entra needs is unavailable (AADSTS90006).')],
  [90012, passing('Entra took too long (AADSTS90012).')],
  [90024, passing('Entra had a passing error (AADSTS90024).')],
  [90033, passing("Entra's directory is unavailable (AADSTS90033).")],
  [90055, passing('Entra has too many requests of this tenant (AADSTS90055).')],
  [90090, passing("Entra's directory failed for now (AADSTS90090).")],
  [90091, passing("Entra's directory could not be reached (AADSTS90091).")],

  [
    70021,
    {
      nature: 'spreading',
      hint: (values) =>
        `No federated credential of application ${values.client} matches. It must have ${allThree(values)}. ${JUST_SET}`,
    },
  ],
  [700213, { nature: 'spreading', hint: wrongSubject }],

  [50013, stale('Entra cannot verify the signature of the Google ID token (AADSTS50013).')],
  [500133, stale('The Google ID token was outside its time when Entra saw it (AADSTS500133).')],
  [700024, stale('The Google ID token was outside its time when Entra saw it (AADSTS700024).')],

  [
    700211,
    toFix(
      ({ client, issuer }) =>
        `Set Issuer of the federated credential of application ${client} to ${issuer}. ${JUST_SET}`,
    ),
  ],
  [
    700212,
    toFix(
      ({ client, audience }) =>
        `Set Audience of the federated credential of application ${client} to ${audience}, or AZURE_FEDERATED_AUDIENCE to what it has; each cloud has its own, which AZURE_CLOUD chooses. ${JUST_SET}`,
    ),
  ],
  [
    7002131,
    toFix(
      ({ client, subject }) =>
        `Neither a subject nor an expression of application ${client}'s federated credentials matches. Add one with the plain Subject ${subject} (the unique id of the service account, not its e-mail), without an expression: those are not for Google. ${JUST_SET}`,
    ),
  ],
  [
    7002138,
    toFix(
      (values) =>
        `A federated credential of application ${values.client} matches but for upper and lower case. Delete it, and add one with exactly ${allThree(values)}. ${JUST_SET}`,
    ),
  ],
  [
    700235,
    toFix(
      ({ client, subject }) =>
        `The federated credential of application ${client} matches by an expression, which Entra does not take there. Replace it by one with the plain Subject ${subject} (the unique id of the service account, not its e-mail). ${JUST_SET}`,
    ),
  ],
  [70025, toFix(noCredential)],
  [7000226, toFix(noCredential)],
  [700016, toFix(unknownClient)],
  [
    7000112,
    toFix(
      ({ client, tenant }) =>
        `Application ${client} is disabled in tenant ${tenant}. Enable its service principal: az ad sp update --id ${client} --set accountEnabled=true`,
    ),
  ],
  [
    7000218,
    toFix(ours("Entra saw no assertion in the request (AADSTS7000218: neither 'client_assertion' nor a secret).")),
  ],
  [70003, toFix(ours('Entra saw another grant type than client_credentials (AADSTS70003).'))],
  [
    50027,
    toFix(
      () =>
        'Entra cannot read what it got as a Google ID token (AADSTS50027). Run promptbridge token inspect: if it shows no claims by Google, something else answers in place of the metadata server (GCE_METADATA_HOST).',
    ),
  ],
  [70011, toFix(wrongScope)],
  [
    1002012,
    toFix(({ scope }) => `The scope ${scope} must end in /.default. Set AZURE_OPENAI_SCOPE to RESOURCE/.default.`),
  ],
  [
    500011,
    toFix(
      (values) =>
        `${wrongScope(values)} If it is right, tenant ${values.tenant} lacks the resource: set AZURE_TENANT_ID to the tenant of the Azure OpenAI resource.`,
    ),
  ],
  [90002, toFix(wrongTenant)],
  [900023, toFix(wrongTenant)],
  [90038, toFix(anotherCloud)],
  [900382, toFix(anotherCloud)],
  [900432, toFix(anotherCloud)],
  [
    53003,
    toFix(
      ({ client }) =>
        `A Conditional Access policy for workload identities blocks application ${client}. Find it under Sign-in logs, Service principal sign-ins, by the correlation id of the record; leave the application out of it, or allow the worker's outgoing addresses.`,
    ),
  ],
])

/** Explanations by OAuth error, if the number is missing or not in the table. */
export const OAUTH_HINTS: ReadonlyMap<string | undefined, Explanation['hint']> = new Map([
  [
    'invalid_client',
    (values) =>
      `Entra does not take the Google ID token as proof of application ${values.client}. Its federated credential must have ${allThree(values)}.`,
  ],
  ['unauthorized_client', unknownClient],
  ['invalid_scope', wrongScope],
  ['invalid_resource', wrongScope],
  ['invalid_tenant', wrongTenant],
])

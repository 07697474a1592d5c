// What a value of a setting has to look like.
import { z } from 'zod'
import { bodyFieldNames } from '../job/body-fields.ts'
import { closestName } from '../lib/did-you-mean.ts'
import { isLoopback } from './token-hosts.ts'

export const text = z.string().trim().min(1)
export const whole = (min: number, max: number) => z.coerce.number().int().min(min).max(max)
const withoutSlash = (url: string) => url.replace(/\/+$/, '')
/** Written as it is parsed here, so that no other parser reads another host in it. */
const urlOf = (protocol: RegExp, error: string) =>
  z
    .url({ protocol, error, normalize: true })
    .refine((url) => !URL.parse(url)?.username && !URL.parse(url)?.password, 'must hold no user name and no password')
    .transform(withoutSlash)
export const httpsUrl = urlOf(/^https$/, 'must be an https URL')
/** https, or plain http on this machine. */
export const webUrl = urlOf(/^https?$/, 'must be a URL').refine(
  (url) => url.startsWith('https:') || isLoopback(URL.parse(url)?.hostname ?? ''),
  'must be https',
)

/** Azure's own spelling of a version: its date, and whether it is a preview. */
export const apiVersion = text.regex(
  /^\d{4}-\d{2}-\d{2}(-preview)?$/,
  'must be a dated version such as 2024-10-21, or be left out for the v1 API',
)

/** A region's address serves all resources in it, and takes their keys alone: REGION.api.cognitive.microsoft.com. */
const REGIONAL = /(^|\.)api\.cognitive\.(microsoft|azure)\.[a-z]+\.?$/
const NOT_REGIONAL =
  'is the address of a region, which refuses Entra tokens. Give the resource a custom subdomain (az cognitiveservices account update --custom-domain NAME), and use https://NAME.openai.azure.com'

/** The resource's own address: the portal shows it with the API's path as well. */
export const azureEndpoint = webUrl
  .transform((url) => url.replace(/\/openai(\/v1)?$/, ''))
  .refine((url) => !REGIONAL.test(URL.parse(url)?.hostname ?? ''), NOT_REGIONAL)

export const MOST_OUTPUT_TOKENS = 10_000_000

/** Circuits of a whole resource have names with a star, which no deployment can take. */
const deploymentName = text.regex(/^[\w.-]{1,100}$/, "must be 1 to 100 letters, digits, '.', '_' and '-'")

export const deploymentFields = {
  provider: z
    .literal('azure-openai', 'must be azure-openai')
    .default('azure-openai')
    .describe('The provider of the model: `azure-openai`.'),
  name: deploymentName.optional().describe('Its name in records, logs and telemetry; otherwise the name at Azure.'),
  model: text.describe('The model that jobs ask for.'),
  endpoint: azureEndpoint.describe('The endpoint of the Azure OpenAI resource.'),
  deployment: text.describe('The name of the deployment at Azure.'),
  priority: z
    .number()
    .int()
    .default(1)
    .describe("The lowest number of a job's model is asked first, and of equal ones the first in the list."),
  rpm: z
    .number()
    .positive()
    .optional()
    .describe('The quota of requests in a minute, with which a limit that Azure lowers is found.'),
  tpm: z
    .number()
    .positive()
    .optional()
    .describe('The quota of tokens in a minute, with which a limit that Azure lowers is found.'),
  maxOutputTokens: z
    .number()
    .int()
    .min(1)
    .max(MOST_OUTPUT_TOKENS)
    .optional()
    .describe('Replaces `MAX_OUTPUT_TOKENS` for this deployment.'),
}
const deployment = z.strictObject(deploymentFields, {
  error: (issue) => (issue.code === 'unrecognized_keys' ? issue.keys.map(sayUnknownField).join(', ') : undefined),
})
/** An Azure OpenAI deployment and the model name that jobs know it by. Lower priorities are asked first. */
export type DeploymentSetting = z.infer<typeof deployment>

const sayUnknownField = (name: string) => sayUnknownName(name, Object.keys(deploymentFields))

/** What is not written as a name may be a secret that was pasted there. */
function sayUnknownName(name: string, known: readonly string[]): string {
  const meant = closestName(name, known)
  const said = /^[\w.]{1,40}$/.test(name) ? `unknown field "${name}"` : 'a field that is unknown'
  return meant === undefined ? said : `${said}; did you mean "${meant}"?`
}

export const deployments = z.string().transform((json, context) => {
  try {
    return z.array(deployment).min(1).parse(JSON.parse(json))
  } catch (error) {
    const message = error instanceof z.ZodError ? z.prettifyError(error).replaceAll('\n', ' ') : 'is not JSON'
    context.addIssue({ code: 'custom', message })
    return z.NEVER
  }
})

const OTHER_FIELD = 'a field that this version does not know is named other.NAME'

/** Names of what bodies may ask for, separated by commas. */
export const bodyFields = z.string().transform((list, context) => {
  const names = list
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
  const unknown = names.filter((name) => !bodyFieldNames.includes(name) && !/^other\.[\w.-]{1,64}$/.test(name))
  for (const name of unknown) context.addIssue(`${sayUnknownName(name, bodyFieldNames)} (${OTHER_FIELD})`)
  return unknown.length === 0 ? names : z.NEVER
})

/** https://cloud.google.com/firestore/docs/manage-databases#database_id */
export const firestoreDatabase = text.regex(
  /^(\(default\)|[a-z][a-z0-9-]{2,61}[a-z0-9])$/,
  'must be (default), or 4 to 63 lower-case letters, digits and hyphens that begin with a letter',
)

/** Where records are kept; the queue follows it. */
export const store = z
  .string()
  .regex(/^(firestore|sqlite:.+)$/, 'must be firestore or sqlite:PATH')
  .transform((value) =>
    value === 'firestore'
      ? { kind: 'firestore' as const }
      : { kind: 'sqlite' as const, path: value.slice('sqlite:'.length) },
  )

/** Who speaks for the worker: the machine's own service account, one that the caller may impersonate, or the caller. */
export type TokenSource =
  | { readonly kind: 'metadata-server' }
  | { readonly kind: 'impersonate'; readonly serviceAccount: string }
  | { readonly kind: 'azure-cli' }

export const tokenSource = text
  .regex(
    /^(metadata-server|azure-cli|impersonate:[\w.-]+@[\w.-]+\.gserviceaccount\.com)$/,
    'must be metadata-server, azure-cli, or impersonate: and the e-mail of a service account',
  )
  .transform((value): TokenSource => {
    if (value === 'metadata-server' || value === 'azure-cli') return { kind: value }
    return { kind: 'impersonate', serviceAccount: value.slice('impersonate:'.length) }
  })

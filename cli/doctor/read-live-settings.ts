import { z } from 'zod'
import type { Environment } from '../../shared/config/rules.ts'
import { openCaller } from '../../shared/identity/impersonated-id-token.ts'
import { TokenError } from '../../shared/identity/token-error.ts'
import { quote } from '../../shared/lib/quote.ts'
import type { Finding } from './step.ts'

/** A Cloud Run service. */
export interface LiveService {
  readonly project: string
  readonly region: string
  readonly name: string
}

/** The settings and the account of a live service. */
export interface LiveSettings {
  readonly environment: Environment
  /** E-mail of the account that it runs as. */
  readonly serviceAccount: string
  /** Whether Cloud Run accepts every caller without a check of roles. */
  readonly invokerCheckDisabled: boolean
}

const CLOUD_RUN = 'https://run.googleapis.com'

/** https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.services */
const serviceSchema = z.object({
  latestReadyRevision: z.string().optional(),
  // Left out where it is false.
  invokerIamDisabled: z.boolean().default(false),
  template: z.object({
    serviceAccount: z.string().optional(),
    containers: z
      .array(
        z.object({
          env: z
            .array(z.object({ name: z.string(), value: z.string().optional(), valueSource: z.unknown().optional() }))
            .default([]),
        }),
      )
      .default([]),
  }),
})

const withStatus = z.object({ status: z.number().int() })

/**
 * Reads the settings of a Cloud Run service through its Admin API, with the current login.
 *
 * `endpoint`: the address of that API; Google's own when absent.
 */
export async function readLiveSettings(
  service: LiveService,
  signal: AbortSignal,
  endpoint = CLOUD_RUN,
): Promise<Finding<LiveSettings>> {
  const { project, region, name } = service
  const path = ['projects', project, 'locations', region, 'services', name].map(encodeURIComponent).join('/')
  const expected = `the settings of Cloud Run service ${name} in ${region} of ${project}`
  try {
    const caller = await openCaller()
    const url = `${endpoint}/v2/${path}`
    const { data } = await caller.request<unknown>({ url, retry: false, signal })
    return readService(serviceSchema.parse(data), service, expected)
  } catch (error) {
    const { seen, fix } = explain(error, service)
    return { ok: false, seen, expected, fix }
  }
}

function readService(
  { latestReadyRevision, invokerIamDisabled, template }: z.infer<typeof serviceSchema>,
  { project, region, name }: LiveService,
  expected: string,
): Finding<LiveSettings> {
  const { serviceAccount, containers } = template
  // The first container receives the requests, unless another one names a port. The worker has no sidecar.
  const variables = containers.flatMap(({ env }) => env)
  const plain = variables.flatMap((variable) => (variable.value === undefined ? [] : [[variable.name, variable.value]]))
  const secret = variables.filter(({ valueSource }) => valueSource !== undefined).map((variable) => variable.name)
  const revision = latestReadyRevision?.split('/').at(-1) ?? 'no revision that is ready'
  const hidden = secret.length === 0 ? '' : `; not read, because they come from Secret Manager: ${secret.join(', ')}`
  const seen = `${name} (${revision}) runs as ${serviceAccount ?? 'the default service account'}, with ${plain.length} plain settings${hidden}`
  if (serviceAccount !== undefined) {
    const environment = Object.fromEntries(plain)
    return { ok: true, seen, value: { environment, serviceAccount, invokerCheckDisabled: invokerIamDisabled } }
  }
  const where = `--project=${quote(project)} --region=${quote(region)}`
  return {
    ok: false,
    seen,
    expected: `${expected}, and a service account of its own`,
    fix: `gcloud run services update ${quote(name)} ${where} --service-account=EMAIL`,
  }
}

function explain(error: unknown, { project, region, name }: LiveService): { seen: string; fix: string } {
  if (error instanceof TokenError) return { seen: error.message, fix: LOGIN }
  const where = `--project=${quote(project)}`
  const status = withStatus.safeParse(error).data?.status
  if (status === 401) return { seen: 'Cloud Run answered 401', fix: LOGIN }
  if (status === 403) {
    const grant = `gcloud projects add-iam-policy-binding ${quote(project)} --member=user:YOU --role=roles/run.viewer`
    const enable = `gcloud services enable run.googleapis.com ${where}`
    return { seen: 'Cloud Run answered 403', fix: `${grant}\nIf its API is not enabled: ${enable}` }
  }
  if (status === 404) {
    const fix = `Correct --service, --region or --project: gcloud run services list ${where} --region=${quote(region)}`
    return { seen: `Cloud Run has no service ${name}`, fix }
  }
  const seen =
    status === undefined ? 'Cloud Run did not answer, or its answer cannot be read' : `Cloud Run answered ${status}`
  return {
    seen,
    fix: 'The cause may be temporary. If it persists, check the network connection to run.googleapis.com.',
  }
}

const LOGIN = 'Run gcloud auth application-default login.'

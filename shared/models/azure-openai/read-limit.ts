import type { Deployment } from '../../config/deployments.ts'
import type { Failure, LimitKind } from '../../job/failures.ts'
import { defined } from '../../lib/defined.ts'
import type { RateLimit } from '../provider.ts'
import type { AzureError } from './read-error.ts'

/** The relevant parts of a 429. */
interface Throttling {
  readonly said: Pick<AzureError, 'code' | 'message'>
  readonly headers: Pick<Headers, 'has'>
  readonly rateLimit: RateLimit | undefined
  readonly deployment: Pick<Deployment, 'rpm' | 'tpm'>
}

/** Messages of a 429 that comes from the load of the whole region, whatever this deployment used. */
const CAPACITY = /high demand|peak load|temporarily unable|overloaded|no capacity/i
const ENQUEUED = /enqueued tokens?/i
/** Only provisioned deployments send it: https://github.com/Azure/azure-openai-benchmark */
const UTILIZATION = 'azure-openai-deployment-utilization'

/** Tells which limit a 429 of Azure is about. A message that no rule knows is about the quota. */
function readLimit({ said: { code, message }, headers, rateLimit, deployment }: Throttling): LimitKind {
  if (code === 'token_limit_exceeded' || ENQUEUED.test(message)) return 'enqueued'
  if (CAPACITY.test(message)) return 'capacity'
  if (headers.has(UTILIZATION)) return 'provisioned'
  return findLowered(rateLimit, deployment) === undefined ? 'quota' : 'lowered'
}

/** Describes a limit that Azure has lowered below what DEPLOYMENTS says: `30,000 of 100,000 tokens a minute`. */
export function findLowered(
  rateLimit: RateLimit | undefined,
  { rpm, tpm }: Pick<Deployment, 'rpm' | 'tpm'>,
): string | undefined {
  const pairs = [
    { now: rateLimit?.limitTokens, set: tpm, unit: 'tokens' },
    { now: rateLimit?.limitRequests, set: rpm, unit: 'requests' },
  ]
  const lowered = pairs.flatMap(({ now, set, unit }) =>
    // Azure also sends 0 where it does not know the limit.
    now !== undefined && now > 0 && set !== undefined && now < set
      ? [`${now.toLocaleString('en')} of ${set.toLocaleString('en')} ${unit} a minute`]
      : [],
  )
  return lowered.length === 0 ? undefined : lowered.join(', ')
}

interface Words {
  readonly message?: string
  readonly hint?: string
  /** How long to wait if Azure does not say, in milliseconds; absent where the pace of the deployment decides. */
  readonly waitMs?: number
}

const WORDS: Readonly<Record<LimitKind, Words>> = {
  /** As any 429 is described. */
  quota: {},
  capacity: {
    message: 'Azure has no capacity for this model in this region now; the quota is not used up',
    hint: 'Azure is under load, so a higher quota does not help. Add a deployment of the model in another region, or a provisioned one, to DEPLOYMENTS.',
    waitMs: 20_000,
  },
  lowered: {
    message: 'Azure has lowered the limit of the deployment for now, and that is used up',
    hint: "Azure can lower a deployment's limits for hours. The worker keeps to the lower limit until Azure raises it. If it stays, correct rpm and tpm in DEPLOYMENTS, or ask Azure for quota.",
    waitMs: 5_000,
  },
  provisioned: {
    message: "the deployment's provisioned throughput is full for now",
    hint: 'Buy more provisioned units, or add a pay-as-you-go deployment of the model with a higher priority number to DEPLOYMENTS: it takes what does not fit.',
  },
  enqueued: {
    message: 'the deployment holds as many enqueued batch tokens as it may',
    hint: 'Earlier batches at Azure must end first. Use a deployment that is not a batch deployment, or wait.',
    waitMs: 60_000,
  },
}

/** Adds to a 429 which limit it is about, in words, and how long to wait if Azure does not say. */
export function sayLimit(failure: Failure, throttling: Throttling): Failure {
  const limit = readLimit(throttling)
  const { waitMs: retryAfterMs, ...words } = WORDS[limit]
  // What Azure itself asks for comes last, and counts.
  return { ...defined({ retryAfterMs }), ...failure, ...words, limit }
}

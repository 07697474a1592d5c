import { createPolicyReader, type ReadPolicy } from '../../cli/doctor/read-policy.ts'
import { type Checks, startChecks } from '../../cli/doctor/step.ts'
import { startGooglePolicies } from '../../local/google-policies.ts'
import { callsOf, placeFault } from './stand-ins.ts'

export type Policies = Parameters<typeof startGooglePolicies>[0]['policies']

/** The account that pushes to the service. */
export const PUSHER = 'push@p.iam.gserviceaccount.com'
export const PROJECT = 'projects/p'
export const service = { project: 'p', region: 'europe-west1', name: 'worker' }
export const SERVICE = 'projects/p/locations/europe-west1/services/worker'

/** What the doctor says of these policies of Google, and the names of those that it read. */
export async function onPolicies(
  policies: Policies,
  check: (checks: Checks, policy: ReadPolicy) => Promise<unknown>,
  { unavailable = false } = {},
) {
  const google = await startGooglePolicies({ policies })
  try {
    if (unavailable) await placeFault(google, { kind: 'status', error: 'unavailable' })
    const checks = startChecks(() => undefined)
    await check(checks, createPolicyReader(google.url))
    const calls = await callsOf(google, 'getIamPolicy')
    return { steps: checks.steps, asked: calls.map(({ detail }) => detail['name']) }
  } finally {
    await google.close()
  }
}

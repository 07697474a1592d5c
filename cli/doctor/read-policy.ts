import { z } from 'zod'
import { openCaller } from '../../shared/identity/impersonated-id-token.ts'

/** Who has which roles on a resource. */
export type Policy = readonly { readonly role: string; readonly members: readonly string[] }[]

/** Resolves with a resource's policy; undefined when the current login may not read it, or when the API did not answer. */
export type ReadPolicy = (resource: PolicyOf, signal: AbortSignal) => Promise<Policy | undefined>

/** A resource by its API and its name there: `projects/p/topics/t`. */
export interface PolicyOf {
  readonly api: keyof typeof APIS
  readonly name: string
}

const APIS = {
  pubsub: { endpoint: 'https://pubsub.googleapis.com', version: 'v1', method: 'GET' },
  run: { endpoint: 'https://run.googleapis.com', version: 'v2', method: 'GET' },
  cloudresourcemanager: { endpoint: 'https://cloudresourcemanager.googleapis.com', version: 'v3', method: 'POST' },
} as const

/** https://cloud.google.com/iam/docs/reference/rest/v1/Policy; one that grants nothing has no bindings. */
const policySchema = z
  .object({
    bindings: z.array(z.object({ role: z.string(), members: z.array(z.string()).default([]) })).default([]),
  })
  .transform(({ bindings }) => bindings)

/** Reads policies with the current login. `endpoint`: the address of all these APIs; Google's own when absent. */
export function createPolicyReader(endpoint?: string): ReadPolicy {
  return async ({ api, name }, signal) => {
    const { version, method, endpoint: own } = APIS[api]
    try {
      const caller = await openCaller()
      const url = `${endpoint ?? own}/${version}/${name.split('/').map(encodeURIComponent).join('/')}:getIamPolicy`
      const { data } = await caller.request<unknown>({ url, method, retry: false, signal })
      return policySchema.parse(data)
    } catch {
      // The reason makes no difference: this login cannot read the policy.
      return undefined
    }
  }
}

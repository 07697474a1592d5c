import type { JobUrl } from '../../job/job.ts'
import type { Endpoint } from '../endpoint.ts'
import { chatCompletions } from './chat-completions.ts'
import { embeddings } from './embeddings.ts'
import { responses } from './responses.ts'

export const endpoints: Readonly<Record<JobUrl, Endpoint>> = {
  '/v1/chat/completions': chatCompletions,
  '/v1/responses': responses,
  '/v1/embeddings': embeddings,
}

/** Where a request goes, under a resource's `/openai`. */
export interface Address {
  readonly path: string
  readonly query: Readonly<Record<string, string>>
}

/** Returns the address of a request on a dated API version, or on the v1 API if no version is given. */
export function addressOf(url: JobUrl, deployment: string, apiVersion: string | undefined): Address {
  if (apiVersion === undefined) return { path: url, query: {} }
  const path = url.slice('/v1'.length)
  const query = { 'api-version': apiVersion }
  if (!endpoints[url].isUnderDeployment) return { path, query }
  return { path: `/deployments/${encodeURIComponent(deployment)}${path}`, query }
}

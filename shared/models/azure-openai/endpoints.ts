import { type Job, type JobUrl, jobUrls } from '../../job/job.ts'
import type { Endpoint } from '../endpoint.ts'
import { MAX_ANSWER_BYTES } from './answer-size.ts'
import { chatCompletions } from './chat-completions.ts'
import { embeddings } from './embeddings.ts'
import { responses } from './responses.ts'

export const endpoints: Readonly<Record<JobUrl, Endpoint>> = {
  '/v1/chat/completions': chatCompletions,
  '/v1/responses': responses,
  '/v1/embeddings': embeddings,
}

/** What an answer says in plain text; undefined where it says nothing in words, or for a url that this version does not know. */
export function textOf(url: string, answer: unknown): string | undefined {
  const known = jobUrls.find((each) => each === url)
  return known && endpoints[known].textOf(answer)
}

/** How many bytes a job's answer may have at most, as far as that is read. */
export function mostAnswerBytes({ url, body }: Pick<Job, 'url' | 'body'>): number {
  return Math.min(endpoints[url].answerBytes(body), MAX_ANSWER_BYTES)
}

/** Where a request goes, under a resource's `/openai`. */
export interface Address {
  readonly path: string
  readonly query: Readonly<Record<string, string>>
}

/** Finds the address of a request on a dated API version, or on the v1 API where none is given. */
export function addressOf(url: JobUrl, deployment: string, apiVersion: string | undefined): Address {
  if (apiVersion === undefined) return { path: url, query: {} }
  const path = url.slice('/v1'.length)
  const query = { 'api-version': apiVersion }
  if (!endpoints[url].isUnderDeployment) return { path, query }
  return { path: `/deployments/${encodeURIComponent(deployment)}${path}`, query }
}

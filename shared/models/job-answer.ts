import { type Job, jobUrls } from '../job/job.ts'
import { MAX_ANSWER_BYTES } from './azure-openai/answer-size.ts'
import { endpoints } from './azure-openai/endpoints.ts'

/* What an answer holds, by the url of its job. Every provider answers in the format that the url has. */

/** The answer in plain text. Undefined if it has no text, or if this version does not know the url. */
export function textOf(url: string, answer: unknown): string | undefined {
  const known = jobUrls.find((each) => each === url)
  return known && endpoints[known].textOf(answer)
}

/** How many bytes a job's answer may have at most, as far as that is read. */
export function mostAnswerBytes({ url, body }: Pick<Job, 'url' | 'body'>): number {
  return Math.min(endpoints[url].answerBytes(body), MAX_ANSWER_BYTES)
}

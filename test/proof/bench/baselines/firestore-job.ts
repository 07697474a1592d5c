import { aJob, anAnswer, LEASE_MS } from '../../../support/job-builders.ts'
import { ANSWER } from '../firestore/the-job.ts'

/** The same job and the same answer as ours, in the form that Google's client takes. */
export function claimed(id: string, owner: string) {
  const { batch, url, model, metadata, run, payloadHash } = aJob()
  return {
    ...{ id, batch, url, model, metadata, run, payloadHash, owner },
    ...{ status: 'running', leaseMs: LEASE_MS, createdAt: new Date() },
  }
}

export function settled() {
  const { usage, finishReason, report } = anAnswer()
  return { status: 'succeeded', result: ANSWER, usage, finishReason, ...report, settledAt: new Date() }
}

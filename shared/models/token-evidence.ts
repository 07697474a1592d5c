import type { Failure, FailureKind } from '../job/failures.ts'

/** What a reply shows about the token of its request; `unknown`: the service itself may not have seen it. */
export type TokenEvidence = 'accepted' | 'refused' | 'unknown'

const EVIDENCE: Readonly<Record<FailureKind, TokenEvidence | 'as served'>> = {
  unauthorized: 'refused',
  rejected: 'as served',
  throttled: 'as served',
  no_deployment: 'as served',
  oversized: 'accepted',
  forbidden: 'unknown',
  unreachable: 'unknown',
  unavailable: 'unknown',
  timeout: 'unknown',
  ambiguous: 'unknown',
  // No reply of a model.
  invalid: 'unknown',
  conflict: 'unknown',
  expired: 'unknown',
  token: 'unknown',
  budget: 'unknown',
  store: 'unknown',
  busy: 'unknown',
  draining: 'unknown',
}

/** Only a 2xx, or a 400 or 429 in the service's own form, proves a token. `failure`: undefined for an answer. */
export function tokenEvidence(failure: Failure | undefined): TokenEvidence {
  if (failure === undefined || isSuccess(failure.httpStatus)) return 'accepted'
  const evidence = EVIDENCE[failure.kind]
  if (evidence !== 'as served') return evidence
  return failure.fromService === true ? 'accepted' : 'unknown'
}

function isSuccess(httpStatus: number | undefined): boolean {
  return httpStatus !== undefined && httpStatus >= 200 && httpStatus < 300
}

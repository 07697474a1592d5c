import { aDeployment } from '../../support/deployment-builders.ts'

/** How the simulated workers are set up. Times are milliseconds. */

export const MAX_ATTEMPTS = 3
export const MODEL_TIMEOUT_MS = 30_000
export const MAX_JOB_AGE_MS = 60 * 60_000
/** Of the jobs subscription: a push's timeout as well. */
export const ACK_DEADLINE_MS = 120_000
/** The share of it in which a worker does its work. */
export const USABLE_SHARE = 0.95
/** A sweep leaves a lease that is over alone for so long. */
export const SWEEP_GRACE_MS = 60_000
/** A deployment that is missing ends its jobs after so long. */
export const MISSING_ENDS_AFTER_MS = 600_000
/** Attempts of one run that our own time limit ends. */
export const MAX_TIMEOUTS = 2

/** Serves the jobs that name no model, at a resource of its own. */
export const GOOD = aDeployment({ model: 'm', endpoint: 'https://good.example', deployment: 'd', name: 'good' })
/** Serves the jobs that name its model, at another resource. */
export const OTHER = aDeployment({ model: 'n', endpoint: 'https://other.example', deployment: 'd', name: 'other' })
/** In some installations: serves the jobs of the first one while that is missing, at the other resource. */
export const SPARE = aDeployment({ ...OTHER, model: 'm', deployment: 'spare', name: 'spare', priority: 2 })

export const BATCH = 'nightly'
/** Counting it may take longer than a count may take. */
export const LARGE_BATCH = 'yearly'

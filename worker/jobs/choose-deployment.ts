import type { Deployment } from '../../shared/config/deployments.ts'
import { type Failure, isMissingForGood } from '../../shared/job/failures.ts'

/** Why a deployment counts as missing now; undefined where it does not. */
type Missing = (deployment: Deployment) => Failure | undefined

/** The deployments that serve a job's model, in order. A job that names no model takes the model of the first deployment. */
function servingDeployments(deployments: readonly Deployment[], model: string | undefined): readonly Deployment[] {
  const wanted = model ?? deployments[0]?.model
  return deployments.filter((deployment) => deployment.model === wanted)
}

/**
 * Finds the deployment for a job: the first that serves its model and is not missing; else one that is not certainly missing.
 *
 * Undefined where no deployment serves the model.
 */
export function chooseDeployment(
  deployments: readonly Deployment[],
  model: string | undefined,
  missing: Missing,
): Deployment | undefined {
  const serving = servingDeployments(deployments, model)
  const isThere = (deployment: Deployment) => missing(deployment) === undefined
  const isUncertain = (deployment: Deployment) => !isForGood(missing(deployment))
  return serving.find(isThere) ?? serving.find(isUncertain) ?? serving[0]
}

/** Whether every deployment of a job's model but this one has been missing for so long that the job may end. */
export function areOthersMissing(
  deployments: readonly Deployment[],
  model: string | undefined,
  { name }: Deployment,
  missing: Missing,
): boolean {
  return servingDeployments(deployments, model).every((other) => other.name === name || isForGood(missing(other)))
}

function isForGood(failure: Failure | undefined): boolean {
  return failure !== undefined && isMissingForGood(failure)
}

import type { Deployment } from '../../shared/settings.ts'

/**
 * Finds who serves a job's model; a job that names none takes the default, which stands first.
 *
 * Undefined where nobody serves it.
 */
export function chooseDeployment(
  deployments: readonly Deployment[],
  model: string | undefined,
): Deployment | undefined {
  return model === undefined ? deployments[0] : deployments.find((deployment) => deployment.model === model)
}

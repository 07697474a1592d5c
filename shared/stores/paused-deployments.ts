import { z } from 'zod'

/** The deployments that an operator has paused: no instance sends them requests. Rejects with StoreError. */
export interface PausedDeployments {
  /** Their names, in no order. */
  list(): Promise<readonly string[]>
  /** Resolves with false if the deployment was paused already. */
  pause(deployment: string): Promise<boolean>
  /** Resolves with false if the deployment was not paused. */
  resume(deployment: string): Promise<boolean>
}

/** A document that a person has damaged pauses nothing. */
export const storedPauses = z
  .object({ deployments: z.array(z.string()) })
  .catch({ deployments: [] })
  .transform(({ deployments }) => deployments)

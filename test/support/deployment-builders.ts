import type { Deployment } from '../../shared/config/deployments.ts'

const USUAL = { provider: 'azure-openai', model: 'gpt-4o', endpoint: 'https://contoso.openai.azure.com' } as const

/** A deployment that is called as Azure calls it, unless `over` says otherwise. */
export function aDeployment(over: Partial<Deployment> = {}): Deployment {
  const { deployment = 'gpt-4o-eu' } = over
  return { ...USUAL, deployment, name: deployment, priority: 1, ...over }
}

import type { DeploymentSetting } from './setting-values.ts'

/** Where a model is asked, and what it is called. One place may serve several models, under one name. */
export type Deployment = Omit<DeploymentSetting, 'name'> & {
  /** Names the place in records, logs, telemetry and circuits. No other place has this name. */
  readonly name: string
}

/** The place of a deployment, whatever a service calls it: services that share a database may use one name for two places. */
export function placeOf({ endpoint, deployment }: Pick<Deployment, 'endpoint' | 'deployment'>): string {
  return `${deployment} at ${new URL(endpoint).host}`
}

/** The resource of a deployment: the origin of its endpoint. */
export function resourceOf({ endpoint }: Pick<Deployment, 'endpoint'>): string {
  return new URL(endpoint).origin
}

/** Names each deployment: as it is set, else as Azure calls it, with the host where two resources have one of that name. */
export function nameDeployments(list: readonly DeploymentSetting[]): readonly Deployment[] {
  const places = Map.groupBy(list, ({ deployment }) => deployment)
  return list.map((each) => {
    const isAlone = new Set(places.get(each.deployment)?.map(placeOf)).size === 1
    return { ...each, name: each.name ?? (isAlone ? each.deployment : placeOf(each)) }
  })
}

/** What is wrong with a list of deployments as a whole. */
export function deploymentListProblems(list: readonly DeploymentSetting[]): string[] {
  return [...repeated(list), ...ambiguousNames(nameDeployments(list))]
}

/** One deployment may serve several models, but none twice: of two quotas or priorities only one can be meant. */
function repeated(list: readonly DeploymentSetting[]): string[] {
  const names = list.map(({ model, endpoint, deployment }) => JSON.stringify([model, new URL(endpoint), deployment]))
  return names.flatMap((name, index) => {
    const first = names.indexOf(name)
    return first === index
      ? []
      : [`DEPLOYMENTS: [${index}] names the same model and deployment as [${first}]: remove one`]
  })
}

function ambiguousNames(list: readonly Deployment[]): string[] {
  return list.flatMap((one, index) => {
    const first = list.findIndex((other) => (other.name === one.name) !== (placeOf(other) === placeOf(one)))
    if (first === -1 || first > index) return []
    return placeOf(list[first] ?? one) === placeOf(one)
      ? [`DEPLOYMENTS: [${index}] and [${first}] are one deployment with two names: give both the same name`]
      : [`DEPLOYMENTS: [${index}] and [${first}] have one name and are two deployments: give each a name of its own`]
  })
}

/** What a deployment may be called at Azure. */
const NAME = /^[\w.-]{1,100}$/

/**
 * Reads which deployment answered in place of the one that was asked, where Azure sent the request on by itself; undefined if
 * it did not. `deployment`: the one that was asked, as Azure calls it.
 *
 * https://learn.microsoft.com/azure/foundry/openai/how-to/spillover-traffic-management
 */
export function readSpillover(headers: Pick<Headers, 'get'>, deployment: string): string | undefined {
  const names = ['x-ms-spillover-from-deployment', ...(NAME.test(deployment) ? [spilledFrom(deployment)] : [])]
  if (names.every((name) => headers.get(name) === null)) return undefined
  const answered = headers.get('x-ms-deployment-name') ?? ''
  return NAME.test(answered) ? answered : 'unknown'
}

const spilledFrom = (deployment: string) => `x-ms-spillover-from-${deployment.toLowerCase()}`

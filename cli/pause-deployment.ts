import { nameDeployments } from '../shared/config/deployments.ts'
import type { Environment } from '../shared/config/rules.ts'
import { settings } from '../shared/config/schema.ts'
import { plainText } from './plain-text.ts'
import { print, printJson, printNote } from './print.ts'
import { readSettings } from './read-settings.ts'
import { type StoreOptions, withStores } from './with-stores.ts'

export interface PauseDeploymentOptions extends StoreOptions {
  readonly deployment: string
  readonly json?: true
}

const LABELS = {
  pause: { changed: ['paused', 'paused'], same: ['was_paused', 'was paused already'] },
  resume: { changed: ['resumed', 'gets requests again'], same: ['was_delivered', 'was not paused'] },
} as const

/** Pauses or resumes one deployment for all instances, which read that every five seconds. */
export async function handleDeployment(
  action: 'pause' | 'resume',
  { deployment, json, ...options }: PauseDeploymentOptions,
  environment: Environment,
): Promise<void> {
  noteUnknown(deployment, environment)
  const isChanged = await withStores('change', options, environment, ({ pausedDeployments }) =>
    pausedDeployments[action](deployment),
  )
  const [state, label] = LABELS[action][isChanged ? 'changed' : 'same']
  if (json) return printJson([{ deployment, state }])
  print(`${plainText(deployment)}  ${label}\n`)
  if (action === 'pause') {
    print(
      'Instances send it nothing more within 5 seconds. Other deployments of its model go on; without one, jobs wait.\n',
    )
  }
}

/** The worker may have other settings than this machine, so an unknown name is not refused. */
function noteUnknown(deployment: string, environment: Environment): void {
  const given = readSettings(environment).environment
  const listed = settings.shape.DEPLOYMENTS.safeParse(given['DEPLOYMENTS']).data
  const names = listed === undefined ? [] : nameDeployments(listed).map(({ name }) => name)
  if (names.length === 0 || names.includes(deployment)) return
  printNote(`the settings here have no deployment of this name; they have: ${names.join(', ')}`)
}

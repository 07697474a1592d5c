import { createHash } from 'node:crypto'
import type { Fill, Values } from './fill-in.ts'
import type { Value } from './msgpack.ts'
import type { AttributeType } from './schema.ts'

/** What a cloud computes, of the arguments it was given: by type, and by "data TYPE" for what is only read. */
export type Computed = Readonly<Record<string, (given: Values) => Values>>

/** The project where a configuration names none; a provider's own is not looked at. */
const PROJECT = 'made-up-project'

/**
 * Fills in what a cloud computes: what the test wants, or what Google's names are known to look like, or else a text
 * that is the same for the same arguments and no others.
 */
export function makeUp(kind: string, values: Values, computed: Computed): Fill {
  const given: Values = Object.fromEntries(Object.entries(values).filter(([, value]) => !isOpen(value)))
  const mark = createHash('sha256')
    .update(JSON.stringify([kind, given]))
    .digest('hex')
    .slice(0, 8)
  const wanted: Values = { project: PROJECT, ...knownNames(kind, given, mark), ...computed[kind]?.(given) }
  return (found, type, name) => (isOpen(found) ? (wanted[name] ?? madeUpOf(type, `${name} of ${kind} ${mark}`)) : found)
}

function isOpen(value: Value): boolean {
  return value === null || value instanceof Uint8Array
}

/** What Google makes of a name, where other resources refer to it. */
function knownNames(kind: string, given: Values, mark: string): Values {
  const { project = PROJECT, name = '', location = '' } = given
  const digits = `1${Number.parseInt(mark, 16).toString().padStart(11, '0')}`
  if (kind === 'data google_project') return { project_id: project, number: digits }
  if (kind === 'google_pubsub_topic') return { id: `projects/${project}/topics/${name}` }
  if (kind === 'google_pubsub_subscription') return { id: `projects/${project}/subscriptions/${name}` }
  if (kind === 'google_cloud_run_v2_service')
    return {
      id: `projects/${project}/locations/${location}/services/${name}`,
      uri: `https://${name}-${mark}.a.run.app`,
    }
  if (kind !== 'google_service_account') return {}
  const email = `${given['account_id']}@${project}.iam.gserviceaccount.com`
  const path = `projects/${project}/serviceAccounts/${email}`
  return { email, member: `serviceAccount:${email}`, name: path, id: path, unique_id: digits }
}

function madeUpOf(type: AttributeType, text: string): Value {
  if (type === 'string') return text
  if (type === 'number') return 1
  if (type === 'bool') return false
  return type[0] === 'map' || type[0] === 'object' ? {} : []
}

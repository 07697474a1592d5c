import { quote } from '../../shared/lib/quote.ts'
import type { LiveService } from './read-live-settings.ts'
import type { Policy, PolicyOf, ReadPolicy } from './read-policy.ts'
import type { Checks, Finding } from './step.ts'

/** A role that an account needs on a Google Cloud resource. */
export interface Grant {
  readonly step: string
  readonly on: PolicyOf
  /** One of them is enough. The first has the fewest permissions. */
  readonly roles: readonly [string, ...string[]]
  readonly isMember: (member: string) => boolean
  /** Its name in messages, and its value for `gcloud`. */
  readonly member: { readonly label: string; readonly flag: string }
  /** The command that grants the role, without its member. */
  readonly command: string
}

/** Checks each grant on its resource, and on the project if the resource does not have it. */
export async function checkGrants(checks: Checks, grants: readonly Grant[], read: ReadPolicy): Promise<void> {
  for (const grant of grants) await checks.run(grant.step, (signal) => checkGrant(grant, read, signal))
}

/** Looks for one grant, on the resource and on its project. */
export async function checkGrant(grant: Grant, read: ReadPolicy, signal: AbortSignal): Promise<Finding> {
  const { on, roles, member, command } = grant
  const [role] = roles
  const granted = (where: string): Finding => ({
    ok: true,
    seen: `${member.label} has it on ${where}`,
    value: undefined,
  })
  const fix = `${command} --member=${member.flag} --role=${role}`

  const own = await read(on, signal)
  if (own === undefined) {
    return { ok: null, seen: `this login cannot read the grants of ${on.name}; ${member.label} needs ${role} there` }
  }
  if (isIn(own, grant)) return granted(on.name)
  const project = await read(projectOf(on), signal)
  if (project === undefined) {
    const unless = `not on ${on.name} itself, and this login cannot read the project's grants`
    return { ok: null, seen: `${unless}. If the project does not have it either: ${fix}` }
  }
  if (isIn(project, grant)) return granted('the project')
  return { ok: false, seen: 'not granted', expected: `${role} for ${member.label} on ${on.name}`, fix }
}

function isIn(policy: Policy, { roles, isMember }: Grant): boolean {
  return policy.some(({ role, members }) => roles.includes(role) && members.some(isMember))
}

/** The project that a resource is in, by the resource's name. */
export function projectOf({ name }: PolicyOf): PolicyOf {
  return { api: 'cloudresourcemanager', name: name.split('/').slice(0, 2).join('/') }
}

const PUBSUB_AGENT = /^serviceAccount:service-\d+@gcp-sa-pubsub\.iam\.gserviceaccount\.com$/
const WIDE = ['roles/pubsub.editor', 'roles/pubsub.admin', 'roles/editor', 'roles/owner']

/**
 * The grants that Pub/Sub needs to forward a message after its last delivery attempt: its service agent acknowledges the
 * message on the subscription and publishes it to the dead-letter topic.
 */
export function forwardingGrants(
  project: string,
  deadLetterTopic: string,
  subscriptions: readonly string[],
): readonly Grant[] {
  const number = `$(gcloud projects describe ${quote(project)} --format='value(projectNumber)')`
  const agent = {
    isMember: (member: string) => PUBSUB_AGENT.test(member),
    member: {
      label: "Pub/Sub's service agent",
      flag: `"serviceAccount:service-${number}@gcp-sa-pubsub.iam.gserviceaccount.com"`,
    },
  }
  return [
    {
      step: `grant: Pub/Sub may publish to ${deadLetterTopic}`,
      ...onPubSub(project, 'topics', deadLetterTopic),
      roles: ['roles/pubsub.publisher', ...WIDE],
      ...agent,
    },
    ...subscriptions.map(
      (name): Grant => ({
        step: `grant: Pub/Sub may acknowledge on ${name.split('/').at(-1)}`,
        ...onPubSub(project, 'subscriptions', name),
        roles: ['roles/pubsub.subscriber', ...WIDE],
        ...agent,
      }),
    ),
  ]
}

/** The grant that the worker needs on a topic, when the check runs with another login. */
export function publishGrant(project: string, topic: string, account: string): Grant {
  const member = `serviceAccount:${account}`
  return {
    step: `grant: the worker may publish to ${topic}`,
    ...onPubSub(project, 'topics', topic),
    roles: ['roles/pubsub.publisher', ...WIDE],
    isMember: (found) => found === member,
    member: { label: account, flag: quote(member) },
  }
}

/** A topic or subscription, by its name alone or in full, and the command that grants something on it. */
function onPubSub(project: string, kind: 'topics' | 'subscriptions', given: string): Pick<Grant, 'on' | 'command'> {
  const name = given.includes('/') ? given : `projects/${project}/${kind}/${given}`
  const [, owner = project, , short = name] = name.split('/')
  const command = `gcloud pubsub ${kind} add-iam-policy-binding ${quote(short)} --project=${quote(owner)}`
  return { on: { api: 'pubsub', name }, command }
}

/** The role that the push identity needs: without it Cloud Run rejects the push before it reaches the worker. */
export function invokerGrant(service: LiveService, pusher: string): Grant {
  const { project, region, name } = service
  const where = `--project=${quote(project)} --region=${quote(region)}`
  const member = `serviceAccount:${pusher}`
  return {
    step: 'grant: pushes may call the service',
    on: serviceOf(service),
    roles: ['roles/run.invoker', 'roles/run.admin', 'roles/editor', 'roles/owner'],
    isMember: (found) => found === member || found === 'allUsers',
    member: { label: pusher, flag: quote(member) },
    command: `gcloud run services add-iam-policy-binding ${quote(name)} ${where}`,
  }
}

/** A Cloud Run service by its full name. */
export function serviceOf({ project, region, name }: LiveService): PolicyOf {
  return { api: 'run', name: `projects/${project}/locations/${region}/services/${name}` }
}

import type { CheckedPushes } from '../../shared/config/config.ts'
import { quote } from '../../shared/lib/quote.ts'
import { projectOf, serviceOf } from './check-grants.ts'
import type { LiveService } from './read-live-settings.ts'
import type { Policy, PolicyOf, ReadPolicy } from './read-policy.ts'
import type { Finding } from './step.ts'

export interface ServiceAccess {
  readonly service: LiveService
  /** How the worker checks pushes, and the account that sends them. */
  readonly pushAuth: CheckedPushes
  /** Whether Cloud Run accepts every caller without a check of policies. */
  readonly invokerCheckDisabled: boolean
}

/** A member that may call the service, and the grant that allows it. */
interface Invoker {
  readonly member: string
  readonly role: string
  readonly on: PolicyOf
}

/**
 * Roles that contain `run.routes.invoke`. roles/owner is left out: owners can grant themselves any role.
 *
 * https://cloud.google.com/run/docs/reference/iam/roles
 */
const INVOKING = ['roles/run.invoker', 'roles/run.servicesInvoker', 'roles/run.admin', 'roles/editor']
const EVERYONE = ['allUsers', 'allAuthenticatedUsers']
const UNSEEN = 'grants of folders and of the organization were not checked'

/**
 * Finds who may call the service besides the account that pushes. Fails when everyone may and the worker leaves the check
 * of signatures to Cloud Run: then every caller could forge the token of that account.
 */
export async function checkInvokers(access: ServiceAccess, read: ReadPolicy, signal: AbortSignal): Promise<Finding> {
  const { service, pushAuth, invokerCheckDisabled } = access
  const resource = serviceOf(service)
  const project = projectOf(resource)
  const [own, inherited] = [await read(resource, signal), await read(project, signal)]
  const found = [...invokersIn(own, resource), ...invokersIn(inherited, project)]
  const others = found.filter(({ member }) => member !== `serviceAccount:${pushAuth.serviceAccount}`)
  const closed = [...(own ? [] : [resource]), ...(inherited ? [] : [project])].map(({ name }) => name)
  const unseen = [
    ...(closed.length > 0 ? [`this login cannot read the grants of ${closed.join(' and ')}`] : []),
    UNSEEN,
  ]
  const also = (text: string) => [text, ...unseen].join('; ')

  const isOpen = invokerCheckDisabled || others.some(({ member }) => EVERYONE.includes(member))
  if (!isOpen && others.length === 0) {
    if (own === undefined) return { ok: null, seen: unseen.join('; ') }
    return { ok: true, seen: also('only the account that pushes'), value: undefined }
  }
  const opened = invokerCheckDisabled ? ['everyone: the check of callers (Invoker IAM check) is switched off'] : []
  const seen = also(
    [...opened, ...others.map(({ member, role, on }) => `${member} (${role} on ${on.name})`)].join(', '),
  )
  const expected = `only ${pushAuth.serviceAccount}`
  const fix = [...(invokerCheckDisabled ? [enableLine(service)] : []), ...others.map((one) => removeLine(one, service))]
  return { ok: isOpen && pushAuth.mode === 'cloud-run-iam' ? false : null, seen, expected, fix: fix.join('\n') }
}

function invokersIn(policy: Policy | undefined, on: PolicyOf): readonly Invoker[] {
  return (policy ?? []).flatMap(({ role, members }) =>
    isInvoking(role, on)
      ? members.filter((member) => !member.startsWith('deleted:')).map((member) => ({ member, role, on }))
      : [],
  )
}

/** Permissions of custom roles are not read: a custom role on the service itself counts as one that may call it. */
function isInvoking(role: string, { api }: PolicyOf): boolean {
  return INVOKING.includes(withoutCondition(role)) || (api === 'run' && !role.startsWith('roles/'))
}

/** A role that is granted under a condition is listed as `ROLE_withcond_HASH`. */
function withoutCondition(role: string): string {
  return role.replace(/_withcond_[\da-f]+$/, '')
}

function enableLine({ project, region, name }: LiveService): string {
  return `gcloud run services update ${quote(name)} --project=${quote(project)} --region=${quote(region)} --invoker-iam-check`
}

function removeLine({ member, role, on }: Invoker, { project, region, name }: LiveService): string {
  const where = `--project=${quote(project)} --region=${quote(region)}`
  const from =
    on.api === 'run'
      ? `gcloud run services remove-iam-policy-binding ${quote(name)} ${where}`
      : `gcloud projects remove-iam-policy-binding ${quote(project)}`
  const plain = withoutCondition(role)
  return `${from} --member=${quote(member)} --role=${quote(plain)}${plain === role ? '' : ' --all'}`
}

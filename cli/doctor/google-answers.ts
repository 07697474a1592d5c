import { quote } from '../../shared/lib/quote.ts'

/** The gRPC status codes that have a fix of their own. */
const STATUS = { notFound: 5, permissionDenied: 7, unauthenticated: 16 } as const
const NAMES: ReadonlyMap<unknown, string> = new Map([
  [3, 'INVALID_ARGUMENT'],
  [4, 'DEADLINE_EXCEEDED'],
  [5, 'NOT_FOUND'],
  [7, 'PERMISSION_DENIED'],
  [8, 'RESOURCE_EXHAUSTED'],
  [9, 'FAILED_PRECONDITION'],
  [12, 'UNIMPLEMENTED'],
  [13, 'INTERNAL'],
  [14, 'UNAVAILABLE'],
  [16, 'UNAUTHENTICATED'],
])

/** The account that calls Google here: the worker's own account, or that of the current login. */
export interface Asker {
  readonly project: string
  /** E-mail of the worker's service account, if it is known. */
  readonly account: string | undefined
  /** Whether this process uses that account. */
  readonly isWorker: boolean
}

/** How to fix each kind of error of a Google service. */
export interface Fixes {
  /** The role that the worker needs on the project, and the condition of its grant. */
  readonly role: string
  readonly condition?: string
  readonly notFound: string
}

/** The name of a gRPC status. Google's own error text is not printed. */
export function describeStatus(status: unknown): string {
  return NAMES.get(status) ?? 'no answer'
}

/** What to do about a status. `service`: as in `firestore.googleapis.com`. */
export function fixStatus(
  status: unknown,
  service: string,
  asker: Asker,
  { role, condition, notFound }: Fixes,
): string {
  const { project } = asker
  if (status === STATUS.notFound) return notFound
  if (status === STATUS.unauthenticated) {
    return 'There is no Google login, or it has expired. Run gcloud auth application-default login.'
  }
  if (status === STATUS.permissionDenied) {
    const grant = `gcloud projects add-iam-policy-binding ${quote(project)} --member=${memberOf(asker)} --role=${role}${condition === undefined ? '' : ` --condition=${quote(condition)}`}`
    const enable = `If the service is not enabled: gcloud services enable ${service} --project=${quote(project)}`
    return asker.isWorker
      ? `${grant}\n${enable}`
      : `This check used your own login, not the worker's. The worker needs: ${grant}\nTo check it with your login, you need that role as well.\n${enable}`
  }
  return `${service} did not answer as expected. The cause may be temporary. If it persists, check the network connection to it, and GOOGLE_CLOUD_PROJECT (${project}).`
}

/** The worker's account as a member of an IAM policy. */
function memberOf({ account = 'EMAIL' }: Asker): string {
  return `serviceAccount:${quote(account)}`
}

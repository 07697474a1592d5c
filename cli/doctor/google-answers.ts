import { quote } from '../../shared/lib/quote.ts'

/** gRPC's status codes, as far as somebody can fix them. */
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
  /** E-mail of the worker's service account, where it is known. */
  readonly account: string | undefined
  /** Whether this process asks as that account. */
  readonly isWorker: boolean
}

/** How to fix each kind of trouble with one of Google's services. */
export interface Fixes {
  /** The role that the worker needs on the project, and what limits it there. */
  readonly role: string
  readonly condition?: string
  readonly notFound: string
}

/** Google's answer by its name; its own text is not repeated. */
export function sayStatus(status: unknown): string {
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
    return 'Google does not know who runs this, or the login is over. Run gcloud auth application-default login.'
  }
  if (status === STATUS.permissionDenied) {
    const grant = `gcloud projects add-iam-policy-binding ${quote(project)} --member=${memberOf(asker)} --role=${role}${condition === undefined ? '' : ` --condition=${quote(condition)}`}`
    const enable = `If the service is not enabled: gcloud services enable ${service} --project=${quote(project)}`
    return asker.isWorker
      ? `${grant}\n${enable}`
      : `This was asked with your own login, which is not the worker's. The worker needs: ${grant}\nTo see it from here, you need that role as well.\n${enable}`
  }
  return `${service} did not answer as it should. It may end by itself; if it lasts, check the network's way there, and GOOGLE_CLOUD_PROJECT (${project}).`
}

/** As an IAM policy names the worker's account. */
function memberOf({ account = 'EMAIL' }: Asker): string {
  return `serviceAccount:${quote(account)}`
}

/** The gRPC status of an error of Google's clients; undefined where nothing answered. */
export function statusOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

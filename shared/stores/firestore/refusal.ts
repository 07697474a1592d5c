import { GRPC, readCallFailure } from '../../lib/grpc-status.ts'
import { StoreError } from '../job-store.ts'

/** The database that calls go to. */
export interface Place {
  readonly project: string
  readonly database: string
  /** HOST:PORT of an emulator. */
  readonly emulator: string | undefined
}

/** Returns a function that makes a StoreError of the error of a call: it names the place, the cause and how to fix it. */
export function createRefusal(place: Place): (error: unknown) => StoreError {
  return (error) => (error instanceof StoreError ? error : new StoreError('unavailable', explain(error, place), error))
}

const SETTINGS = 'GOOGLE_CLOUD_PROJECT and FIRESTORE_DATABASE name it'
const LOGIN = 'run gcloud auth application-default login'

function explain(error: unknown, { project, database, emulator }: Place): string {
  const { status, met } = readCallFailure(error)
  const address = emulator ?? 'firestore.googleapis.com'
  const where = `Firestore at ${address} (project ${project}, database ${database})`
  const cause = met === undefined ? '' : ` (${met})`
  switch (status) {
    // For a missing document, Firestore answers without an error.
    case GRPC.notFound:
      return `${where} has no such database: ${SETTINGS}`
    case GRPC.permissionDenied:
      return `${where} denies this login the database: it needs roles/datastore.user; ${SETTINGS}`
    case GRPC.unauthenticated:
      return `${where} does not accept the login: ${LOGIN}`
    case GRPC.unavailable:
      return `${where} cannot be reached${cause}: ${fixOf(emulator)}`
    case GRPC.deadlineExceeded:
    case undefined:
      return `${where} did not answer in time${cause}: ${fixOf(emulator)}`
    default:
      return `${where} answered with status ${status}: ${fixOf(emulator)}`
  }
}

function fixOf(emulator: string | undefined): string {
  return emulator === undefined
    ? 'check the network, a proxy and a firewall'
    : 'check this emulator, or correct or unset FIRESTORE_EMULATOR_HOST, which names it'
}

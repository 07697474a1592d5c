import { AADSTS } from './entra-table.ts'
import type { FederationSettings } from './federation-settings.ts'
import { gatherValues, isPassing } from './hint-values.ts'
import { configuration, type Diagnosis, passing, type TokenErrorDetails } from './token-error.ts'

/** The role that lets an account get the worker's ID token. */
export const TOKEN_CREATOR =
  'roles/iam.serviceAccountOpenIdTokenCreator (roles/iam.serviceAccountTokenCreator contains it) on the service account; the Terraform module gives it to worker_token_operators'

/** Explains why there is no Google ID token: of the metadata server, or of impersonation. */
export function explainGoogle(details: TokenErrorDetails, us: FederationSettings): Diagnosis {
  const { answer } = gatherValues(details, us)
  const { httpStatus, code } = details
  if (httpStatus === 401 || code === 'invalid_grant' || code === 'no_credentials') {
    return configuration(
      'Google accepts no login here: there is none, or it has expired. Run gcloud auth application-default login.',
    )
  }
  if (httpStatus === undefined) {
    return passing(
      "No ID token came from Google. On Google Cloud this ends by itself: the metadata server is part of the machine. Elsewhere there is none: set TOKEN_SOURCE to impersonate:EMAIL of the worker's service account, or to azure-cli.",
    )
  }
  if (isPassing(details)) return passing(`Google answered ${answer}. It ends by itself.`)
  if (httpStatus === 404) {
    return configuration(
      'No such service account. On Google Cloud, attach one to the service (gcloud run services update SERVICE --service-account=EMAIL); with TOKEN_SOURCE=impersonate:EMAIL, correct the e-mail. Off Google Cloud, something else answers in place of the metadata server.',
    )
  }
  if (httpStatus === 403) {
    return configuration(
      `The current login may not act as the service account. Give it the role ${TOKEN_CREATOR}. Also enable iamcredentials.googleapis.com in its project. If you just did, allow 10 minutes.`,
    )
  }
  return configuration(
    `Google answered ${answer} to the request for an ID token. Check TOKEN_SOURCE, GCE_METADATA_HOST, and AZURE_FEDERATED_AUDIENCE, the audience of the requested token.`,
  )
}

/** Explains why the Azure CLI returns no token. The CLI reports no status, but Entra's numbers if there are any. */
export function explainAzureCli(details: TokenErrorDetails, us: FederationSettings): Diagnosis {
  const { tenant } = gatherValues(details, us)
  const { aadsts = [], code, keysUnreadable } = details
  if (code === 'not_installed') {
    return configuration(
      'The Azure CLI is not installed, or not in the PATH. Install it (https://aka.ms/azure-cli), then run az login, or choose another TOKEN_SOURCE.',
    )
  }
  const hint = `The Azure CLI returns no token. Run az login --tenant ${tenant} in the right cloud (az cloud show), and see whether az account get-access-token --tenant ${tenant} works.`
  const ends = keysUnreadable || aadsts.some((number) => AADSTS.get(number)?.nature === 'passing')
  const isRefused = aadsts.length > 0 || code === 'not_logged_in'
  return isRefused && !ends ? configuration(hint) : passing(`${hint} If the login is not the cause, it ends by itself.`)
}

import { createDiagnose } from '../../identity/diagnosis.ts'
import type { FederationSettings } from '../../identity/federation-settings.ts'
import { gatherValues, isPassing } from '../../identity/hint-values.ts'
import { configuration, type Diagnosis, passing, type TokenErrorDetails } from '../../identity/token-error.ts'
import type { Failure } from '../../job/failures.ts'
import { defined } from '../../lib/defined.ts'
import { dataActionIn, readDenial } from './denial.ts'

/** Explains why Azure does not accept a fresh token of Entra. */
function explainRefusedToken(details: TokenErrorDetails, us: FederationSettings): Diagnosis {
  const { client, tenant, scope, answer } = gatherValues(details, us)
  const { httpStatus, code } = details
  const denial = readDenial(httpStatus, code)
  if (denial === 'role') {
    // With TOKEN_SOURCE=azure-cli there is no app registration.
    const caller =
      us.clientId === '' ? 'the account that is logged in to the Azure CLI' : `the app registration ${client}`
    const dataAction = dataActionIn(code ?? '')
    const missing = dataAction === undefined ? '' : ` The data action that is missing: ${dataAction}.`
    return {
      nature: 'spreading',
      hint: `Give ${caller} the role "Cognitive Services OpenAI User" on the Azure OpenAI resource. If you just did, allow 10 minutes.${missing}`,
    }
  }
  if (denial === 'tenant') {
    return configuration(
      `The token is of tenant ${tenant}, and the Azure OpenAI resource belongs to another. Set AZURE_TENANT_ID to the tenant of the resource's subscription, and AZURE_CLIENT_ID to an app registration in it.`,
    )
  }
  if (isPassing(details)) {
    return passing('Azure OpenAI could not be asked whether it takes the token. It ends by itself.')
  }
  return configuration(
    `Azure OpenAI answered ${answer} to a fresh token of tenant ${tenant} for ${scope}. Set AZURE_TENANT_ID to the tenant of the resource's subscription, and AZURE_OPENAI_SCOPE (or AZURE_CLOUD) to the resource's cloud.`,
  )
}

/** Explains why there is no token that Azure OpenAI accepts, and how to fix it. */
export const diagnose = createDiagnose(explainRefusedToken)

/** Adds a hint to a denial that has none. */
export function explainDenial(failure: Failure, us: FederationSettings): Failure {
  const { kind, httpStatus, code, hint } = failure
  if ((kind !== 'forbidden' && kind !== 'unauthorized') || hint !== undefined) return failure
  const details = defined({ httpStatus, code })
  return { ...failure, hint: diagnose({ leg: 'azure_refused', details }, us).hint }
}

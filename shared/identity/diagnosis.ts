import type { TokenLeg } from '../job/token-leg.ts'
import { explainEntra } from './explain-entra.ts'
import { explainAzureCli, explainGoogle } from './explain-legs.ts'
import type { FederationSettings } from './federation-settings.ts'
import type { Diagnosis, TokenError, TokenErrorDetails } from './token-error.ts'

type Explain = (details: TokenErrorDetails, us: FederationSettings) => Diagnosis
type Diagnose = (error: Pick<TokenError, 'leg' | 'details'>, us: FederationSettings) => Diagnosis

/** Explains a token failure and how to fix it. `azureRefused`: explains why the resource refuses the token. */
export function createDiagnose(azureRefused: Explain): Diagnose {
  const explain: Readonly<Record<TokenLeg, Explain>> = {
    google_id_token: explainGoogle,
    entra_exchange: explainEntra,
    azure_refused: azureRefused,
    azure_cli: explainAzureCli,
  }
  return ({ leg, details }, us) => explain[leg](details, us)
}

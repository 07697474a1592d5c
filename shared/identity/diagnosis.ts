import { explainEntra } from './explain-entra.ts'
import { explainAzureCli, explainGoogle, explainRefusedToken } from './explain-legs.ts'
import type { Diagnosis } from './failure-nature.ts'
import type { FederationSettings } from './federation-settings.ts'
import type { TokenError, TokenErrorDetails, TokenLeg } from './token-error.ts'

const EXPLAIN: Readonly<Record<TokenLeg, (details: TokenErrorDetails, us: FederationSettings) => Diagnosis>> = {
  google_id_token: explainGoogle,
  entra_exchange: explainEntra,
  azure_refused: explainRefusedToken,
  azure_cli: explainAzureCli,
}

/** Says what a failure on the way to a token means, and how to fix it. */
export function diagnose({ leg, details }: Pick<TokenError, 'leg' | 'details'>, us: FederationSettings): Diagnosis {
  return EXPLAIN[leg](details, us)
}

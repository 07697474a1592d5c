import { AADSTS, keysUnreadable, LASTS, OAUTH_HINTS } from './entra-table.ts'
import type { FederationSettings } from './federation-settings.ts'
import { gatherValues, type HintValues, isPassing } from './hint-values.ts'
import type { Diagnosis, TokenErrorDetails } from './token-error.ts'

/** Microsoft's page on a number, in every cloud. */
const LOOK_UP = 'https://login.microsoftonline.com/error?code='

/** Explains Entra's answer. Status and OAuth error come first, as Microsoft asks, because the numbers may change. */
export function explainEntra(details: TokenErrorDetails, us: FederationSettings): Diagnosis {
  const values = gatherValues(details, us)
  // This case is detected by its text, because its number varies and its status looks like an error of the caller.
  if (details.keysUnreadable) return { nature: 'passing', hint: keysUnreadable(values) }
  const [known] = (details.aadsts ?? []).flatMap((number) => AADSTS.get(number) ?? [])
  if (known?.nature === 'passing') return { nature: 'passing', hint: known.hint(values) }
  if (isPassing(details)) return { nature: 'passing', hint: explainOutage(details, values) }
  if (known !== undefined) return { nature: known.nature, hint: known.hint(values) }
  return { nature: 'configuration', hint: explainUnknown(details, values) }
}

function explainOutage({ httpStatus }: TokenErrorDetails, { answer, authority }: HintValues): string {
  if (httpStatus !== undefined && httpStatus >= 400) return `Entra answered ${answer}. ${LASTS}`
  return `No answer came from Entra at ${authority}. The request is repeated until one comes. If it lasts, check that the worker can reach that address: AZURE_CLOUD, AZURE_AUTHORITY_HOST, the network's egress, a proxy; with a certificate authority of your own, NODE_EXTRA_CA_CERTS.`
}

function explainUnknown({ aadsts = [], code }: TokenErrorDetails, values: HintValues): string {
  const [number] = aadsts.filter((candidate) => Number.isSafeInteger(candidate) && candidate > 0)
  const hint = OAUTH_HINTS.get(code)?.(values)
  const lookUp =
    number === undefined
      ? 'The correlation id of the record, if there is one, names the call to support.'
      : `Look AADSTS${number} up at ${LOOK_UP}${number}; the correlation id of the record names the call to support.`
  if (hint !== undefined) return `${hint} ${lookUp}`
  const whose =
    code === undefined && number === undefined
      ? `, without an OAuth error, so it may not be Entra's own: check AZURE_AUTHORITY_HOST and any proxy`
      : ` to application ${values.client} in tenant ${values.tenant}`
  return `Entra answered ${values.answer}${whose}. ${lookUp}`
}

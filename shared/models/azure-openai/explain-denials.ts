import type { FederationSettings } from '../../identity/federation-settings.ts'
import type { Failure } from '../../job/failures.ts'
import type { ModelProvider } from '../provider.ts'
import { diagnose } from './explain-refused-token.ts'

/** Adds to each denial how to fix it, with the very values of these settings. */
export function explainDenials(provider: ModelProvider, us: FederationSettings): ModelProvider {
  return {
    async ask(request, signal) {
      const reply = await provider.ask(request, signal)
      return reply.ok ? reply : { ok: false, failure: explain(reply.failure, us) }
    },
  }
}

function explain(failure: Failure, us: FederationSettings): Failure {
  const { kind, httpStatus, code, hint } = failure
  // A denial that has its hint already needs none of our values.
  if ((kind !== 'forbidden' && kind !== 'unauthorized') || hint !== undefined) return failure
  const details = { ...(httpStatus !== undefined && { httpStatus }), ...(code !== undefined && { code }) }
  return { ...failure, hint: diagnose({ leg: 'azure_refused', details }, us).hint }
}

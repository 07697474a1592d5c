import { AZURE, ENTRA } from '../../local/identities.ts'
import type { FederationSettings } from '../../shared/identity/federation-settings.ts'
import { openTokenFetcher } from '../../shared/identity/token-fetcher.ts'
import { type Cloud, callsOf } from './stand-ins.ts'

/** The federation of a worker on this cloud. */
export function federationOn({ entra }: Cloud): FederationSettings {
  const { tenantId, clientId, assertionAudience: audience } = ENTRA
  return { tenantId, clientId, authorityHost: entra.url, scope: AZURE.scope, audience }
}

/** The fetcher of an instance of its own, which holds no ID token yet. */
export function openFetcher(cloud: Cloud, over: Partial<FederationSettings> = {}, now: () => number = Date.now) {
  const federation = { ...federationOn(cloud), ...over }
  const metadataHost = cloud.env['GCE_METADATA_HOST']
  return openTokenFetcher({ federation, tokenSource: { kind: 'metadata-server' }, metadataHost }, now)
}

/** Counts the GETs at Google and the POSTs at Entra from now on. */
export async function watchCalls({ metadata, entra }: Cloud) {
  const count = async () =>
    [(await callsOf(metadata, 'identity')).length, (await callsOf(entra, 'token')).length] as const
  const [gets, posts] = await count()
  return async () => {
    const [getsNow, postsNow] = await count()
    return { gets: getsNow - gets, posts: postsNow - posts }
  }
}

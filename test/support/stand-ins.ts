import tls from 'node:tls'
import { z } from 'zod'
import { type AzureOpenAIOptions, startAzureOpenAI } from '../../local/azure-openai.ts'
import { type Call, type CallLog, openCallLog } from '../../local/call-log.ts'
import { makeCertificate } from '../../local/certificate.ts'
import { type Entra, type EntraOptions, startEntra } from '../../local/entra.ts'
import type { faultSchema } from '../../local/faults.ts'
import { AZURE, ENTRA, GOOGLE } from '../../local/identities.ts'
import { type MetadataServer, type MetadataServerOptions, startMetadataServer } from '../../local/metadata-server.ts'
import { createSigningKey } from '../../local/signing-key.ts'
import type { StandIn, StandInOptions } from '../../local/stand-in.ts'

/** What is to be other than usual: for all three, or for one. */
export interface CloudOverrides extends Pick<StandInOptions, 'dependencies' | 'log'> {
  readonly metadata?: MetadataServerOptions
  readonly entra?: Partial<EntraOptions>
  readonly azure?: Partial<AzureOpenAIOptions>
}

/** Google's, Microsoft's and the model's stand-ins, wired together. */
export interface Cloud extends AsyncDisposable {
  readonly metadata: MetadataServer
  readonly entra: Entra
  readonly azure: StandIn
  /** What a worker process needs in its environment to find them; NODE_EXTRA_CA_CERTS only with a `caPath` for Entra. */
  readonly env: Readonly<Record<string, string>>
  close(): Promise<void>
}

/**
 * Starts the three, trusts Entra's certificate in this process, and names the metadata server in its environment, for
 * Google's library to find.
 */
export async function startCloud(overrides: CloudOverrides = {}): Promise<Cloud> {
  await using started = new AsyncDisposableStack()
  const { metadata: forMetadata, entra: forEntra, azure: forAzure, ...shared } = overrides
  const made = await keysOfThisProcess()
  const metadata = started.adopt(await startMetadataServer({ ...shared, key: made.google, ...forMetadata }), close)
  const { microsoft: key, certificate } = made
  const entraOptions = { ...shared, key, certificate, assertionKeysUrl: metadata.certsUrl, ...forEntra }
  const entra = started.adopt(await startEntra(entraOptions), close)
  const tokenKeys = { tokenKeysUrl: entra.keysUrl, tokenKeysCaPem: entra.caPem }
  const azure = started.adopt(await startAzureOpenAI({ ...shared, ...tokenKeys, ...forAzure }), close)
  started.defer(trust(entra.caPem))
  const env = environment({ metadata, entra, azure }, forEntra?.caPath)
  started.defer(setEnvironment('GCE_METADATA_HOST', env['GCE_METADATA_HOST']))
  const cleanups = started.move()
  const end = () => cleanups.disposeAsync()
  return { metadata, entra, azure, env, close: end, [Symbol.asyncDispose]: end }
}

function environment({ metadata, entra, azure }: Pick<Cloud, 'metadata' | 'entra' | 'azure'>, caPath?: string) {
  return {
    GCE_METADATA_HOST: new URL(metadata.url).host,
    GOOGLE_CLOUD_PROJECT: GOOGLE.projectId,
    AZURE_AUTHORITY_HOST: entra.url,
    AZURE_TENANT_ID: ENTRA.tenantId,
    AZURE_CLIENT_ID: ENTRA.clientId,
    AZURE_OPENAI_ENDPOINT: azure.url,
    AZURE_OPENAI_DEPLOYMENT: AZURE.deployment,
    ...(caPath !== undefined && { NODE_EXTRA_CA_CERTS: caPath }),
  }
}

let keys: ReturnType<typeof makeKeys> | undefined

/** Made once: keys cost more than all else that a cloud needs to start. */
function keysOfThisProcess(): ReturnType<typeof makeKeys> {
  keys ??= makeKeys()
  return keys
}

async function makeKeys() {
  const [google, microsoft, certificate] = await Promise.all([
    createSigningKey(),
    createSigningKey(),
    makeCertificate(),
  ])
  return { google, microsoft, certificate }
}

const close = (standIn: StandIn) => standIn.close()

/** By how many clouds each CA is needed now. */
const trusted = new Map<string, number>()

/** For connections made from now on, and no other: to read all that Node brings takes longer than a test. Returns the way back. */
function trust(caPem: string): () => void {
  count(caPem, 1)
  return () => count(caPem, -1)
}

function count(caPem: string, more: 1 | -1): void {
  const clouds = (trusted.get(caPem) ?? 0) + more
  if (clouds === 0) trusted.delete(caPem)
  else trusted.set(caPem, clouds)
  tls.setDefaultCACertificates([...trusted.keys()])
}

function setEnvironment(name: string, value: string): () => void {
  const before = process.env[name]
  process.env[name] = value
  return () => {
    if (before === undefined) delete process.env[name]
    else process.env[name] = before
  }
}

/** Places a scripted fault at a stand-in. Rejects when it is refused. */
export async function placeFault({ url }: StandIn, fault: z.input<typeof faultSchema>): Promise<void> {
  const answer = await fetch(`${url}/__faults`, { method: 'POST', body: JSON.stringify(fault) })
  if (answer.status !== 201) throw new Error(`fault refused: ${await answer.text()}`)
}

export async function clearFaults({ url }: StandIn): Promise<void> {
  await fetch(`${url}/__faults`, { method: 'DELETE' })
}

const callsSchema: z.ZodType<readonly Call[]> = z.array(
  z.object({
    id: z.number(),
    at: z.number(),
    service: z.string(),
    operation: z.string(),
    status: z.number().nullable(),
    durationMs: z.number(),
    detail: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
  }),
)

/** The calls a stand-in has seen, oldest first; of one operation, when it is named. */
export async function callsOf({ url }: StandIn, operation?: string): Promise<readonly Call[]> {
  const calls = callsSchema.parse(await (await fetch(`${url}/__calls`)).json())
  return operation === undefined ? calls : calls.filter((call) => call.operation === operation)
}

/** A call log in memory that says when the next call has been recorded: tests wait for that, and never sleep. */
export async function openWatchedLog(): Promise<CallLog & { recorded(): Promise<Omit<Call, 'id'>> }> {
  const log = await openCallLog()
  let next = Promise.withResolvers<Omit<Call, 'id'>>()
  return {
    ...log,
    recorded: () => next.promise,
    async record(call) {
      await log.record(call)
      const { resolve } = next
      next = Promise.withResolvers()
      resolve(call)
    },
  }
}

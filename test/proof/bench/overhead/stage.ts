import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { createPushTokens } from '../../../../local/pubsub-push/push-tokens.ts'
import { createSigningKey } from '../../../../local/signing-key.ts'
import { serveCerts } from '../../../support/certs-server.ts'
import { startCloud } from '../../../support/stand-ins.ts'
import type { Contestant } from '../harness/bench.ts'
import { type Child, startChild } from '../harness/child.ts'
import { type ServerProcess, startServer } from './start-server.ts'

const WORKER = join(import.meta.dirname, '../../../../worker/main.ts')
const OIDC = { audience: 'https://worker.example/push', serviceAccount: 'push@bench.iam.gserviceaccount.com' }

type Environment = Readonly<Record<string, string>>

/** A contestant, and its process. */
export type ServedContestant = Contestant & { readonly server: ServerProcess }

/** What all workers of a bench stand on: identities, a model that costs nothing, and a process that pushes. */
export interface Stage extends AsyncDisposable {
  /** Starts a worker's module, of which each process answers pushes alone. */
  contestant(name: string, module: string, env?: Environment): Promise<ServedContestant>
  /** Starts the real worker, which verifies every push; `module`: as it was built. */
  ours(name: string, env: Environment, module?: string): Promise<ServedContestant>
  /** A folder that goes with the stage. */
  readonly folder: string
}

/** The identities of a bench, and the settings of its workers. */
export interface Identities extends AsyncDisposable {
  readonly folder: string
  /** The header of every push. */
  readonly authorization: string
  /** Where the model is asked, and where its token comes from. */
  env(modelPort: number): Environment
  /** What the real worker needs besides, to verify every push. */
  readonly pushSettings: Environment
}

export async function openIdentities(): Promise<Identities> {
  await using started = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'bench-'))
  started.defer(() => rm(folder, { recursive: true }))
  const cloud = started.use(await startCloud({ entra: { caPath: join(folder, 'ca.pem') } }))
  const key = await createSigningKey()
  const certs = started.adopt(await serveCerts(key.jwks), (own) => own.close())
  const authorization = `Bearer ${await createPushTokens(key).valid(OIDC, Date.now())}`
  const cleanups = started.move()
  return {
    folder,
    authorization,
    env: (port) => ({ ...cloud.env, AZURE_OPENAI_ENDPOINT: `http://127.0.0.1:${port}` }),
    pushSettings: pushSettings(certs.url),
    [Symbol.asyncDispose]: () => cleanups.disposeAsync(),
  }
}

export async function setStage(): Promise<Stage> {
  await using started = new AsyncDisposableStack()
  const identities = started.use(await openIdentities())
  const { folder, authorization } = identities
  const azure = started.use(startChild(join(import.meta.dirname, 'zero-latency-azure.ts')))
  const load = started.use(startChild(join(import.meta.dirname, 'load-generator.ts')))
  const { port } = await azure.ask({}, azureAnswer)
  const base = identities.env(port)

  async function contestant(name: string, module: string, env: Environment = {}): Promise<ServedContestant> {
    const server = cleanups.use(await startServer(module, { env: { ...base, ...env }, cwd: folder }))
    return {
      name,
      server,
      async run(jobs, round) {
        const before = await server.usage()
        const push = { url: server.url, authorization, jobs, round: `${name} ${round}` }
        const { done, wallMs, refused } = await load.ask(push, loadAnswer)
        if (refused !== undefined) process.stderr.write(`${name} answered ${refused}\n`)
        const { cpuMs, peakMiB } = await server.usage()
        const calls = await callsAt(azure)
        const cpu = { 'CPU ms/job': (cpuMs - before.cpuMs) / done, 'jobs/s': (done * 1_000) / wallMs }
        return { jobs: done, values: { ...cpu, 'peak MiB': peakMiB, 'model calls/job': calls / done } }
      },
    }
  }
  const cleanups = started.move()
  return {
    contestant,
    ours: (name, env, module = WORKER) => contestant(name, module, { ...identities.pushSettings, ...env }),
    folder,
    [Symbol.asyncDispose]: () => cleanups.disposeAsync(),
  }
}

function pushSettings(certsUrl: string): Environment {
  return {
    ...{ HOST: '127.0.0.1', PORT: '0', PUSH_AUTH: 'verify', PUSH_CERTS_URL: certsUrl },
    ...{ PUSH_AUDIENCE: OIDC.audience, PUSH_SERVICE_ACCOUNT: OIDC.serviceAccount },
  }
}

const azureAnswer = z.object({ port: z.number(), calls: z.int() })
const loadAnswer = z.object({ done: z.int(), wallMs: z.number(), refused: z.string().optional() })

/** How many calls the model has answered since this was last asked. */
async function callsAt(azure: Child): Promise<number> {
  return (await azure.ask({}, azureAnswer)).calls
}

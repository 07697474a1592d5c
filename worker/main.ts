import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createHttpServer, type Server } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import type { Hono } from 'hono'
import { type Config, readConfig, SETTINGS_FILE, withSettingsFile } from '../shared/config.ts'
import { createAccessTokenSource } from '../shared/identity/access-token-source.ts'
import { fetchFederatedToken } from '../shared/identity/federated-token.ts'
import { createLog, type Log } from '../shared/log.ts'
import { openSqliteQueue } from '../shared/queue/sqlite/sqlite-queue.ts'
import { createJobStore } from '../shared/store/claiming-job-store.ts'
import { openSqliteDocuments } from '../shared/store/sqlite/sqlite-documents.ts'
import { deadLetterMessage } from './dead-letter.ts'
import { createDrain, type Drain } from './drain.ts'
import { createAzureOpenAI } from './model/azure-openai.ts'
import { createThrottleGates } from './model/throttle-gates.ts'
import type { JobProcessing } from './process-job.ts'
import { createPushAuthenticator } from './receive/authenticate.ts'
import { createReceiver, type Receiver } from './receive-push.ts'
import { createServer } from './server.ts'

/** Cloud Run kills the process 10 s after SIGTERM: running jobs get six of them, their records the rest. */
const GRACE_MS = 6_000
const EXIT_WITHIN_MS = 8_500
/** Longer than Cloud Run and load balancers keep an idle connection, so that none is closed under a push. */
const KEEP_ALIVE_MS = 620_000

type Environment = Readonly<Record<string, string | undefined>>

async function start(config: Config, environment: Environment): Promise<void> {
  const now = Date.now
  const log = createLog(config.logLevel)
  const documents = await openSqliteDocuments(config.storePath, now)
  const queue = await openSqliteQueue(config.storePath, now)
  const drain = createDrain()
  const processing: JobProcessing = {
    store: createJobStore(documents, config.resultTtlMs),
    deadLetter: async (message, cause) => {
      await queue.publish(config.deadLetterTopic, deadLetterMessage(message, cause))
    },
    tokens: createAccessTokenSource(() => fetchFederatedToken(config.federation, now), now),
    gates: createThrottleGates(now, Math.random),
    provider: createAzureOpenAI(),
    deployments: config.deployments,
    maxOutputTokens: config.maxOutputTokens,
    modelTimeoutMs: config.modelTimeoutMs,
    retry: config.retry,
    newOwner: randomUUID,
    drain,
    now,
    log,
  }
  const receiver = createReceiver({ processing, ackDeadlineMs: config.ackDeadlineMs, maxInFlight: config.maxInFlight })
  const onCloudRun = environment['K_SERVICE'] !== undefined
  const { pushAuth, pushCertsUrl: certsUrl, project } = config
  const authenticate = createPushAuthenticator({ pushAuth, certsUrl, onCloudRun, now })
  const checkStore = () => documents.read('any')
  const app = createServer({ authenticate, receiver, drain, checkStore, project, log, now })

  const server = await listen(app.fetch, config)
  log.info({ address: server.address() }, 'the worker listens for pushes')
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info({ signal }, 'the worker ends: nothing new is admitted, running jobs are finished or given back')
      void stop(server, drain, receiver, log, async () => {
        documents.close()
        await queue.close()
      })
    })
  }
}

async function listen(fetch: Hono['fetch'], { host, port }: Config): Promise<Server> {
  const server = createHttpServer(
    { keepAliveTimeout: KEEP_ALIVE_MS },
    getRequestListener(fetch, { overrideGlobalObjects: false }),
  )
  server.listen({ host, port })
  await once(server, 'listening')
  return server
}

async function stop(
  server: Server,
  drain: Drain,
  receiver: Receiver,
  log: Log,
  closeStores: () => Promise<void>,
): Promise<void> {
  setTimeout(() => {
    log.error('some jobs could not be given back in time; their leases run out by themselves')
    process.exit(0)
  }, EXIT_WITHIN_MS)
  drain.begin(GRACE_MS)
  const closed = once(server, 'close')
  server.close()
  await receiver.idle()
  await closed
  await closeStores()
  process.exit(0)
}

try {
  const environment = withSettingsFile(process.env, SETTINGS_FILE)
  await start(readConfig(environment), environment)
} catch (error) {
  process.stderr.write(`promptbridge worker: ${error instanceof Error ? error.message : 'cannot start'}\n`)
  process.exitCode = 1
}

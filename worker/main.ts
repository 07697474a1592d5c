import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { Server } from 'node:http'
import { readConfig } from '../shared/config/config.ts'
import type { Environment } from '../shared/config/rules.ts'
import { SETTINGS_FILE, withSettingsFile } from '../shared/config/settings-file.ts'
import { defined } from '../shared/lib/defined.ts'
import { printable } from '../shared/lib/printable.ts'
import { emulatorsIn } from '../shared/stores/open.ts'
import type { Instance } from '../shared/stores/telemetry-store.ts'
import { composeWorker, type Worker } from './compose.ts'
import { listen } from './listen.ts'
import { createLog, type Log } from './observe/log.ts'

/** Cloud Run kills the process 10 s after SIGTERM: running jobs have six seconds to end, and the rest is for their records. */
const GRACE_MS = 6_000
const EXIT_WITHIN_MS = 8_500

async function start(): Promise<void> {
  const { environment, ...file } = withSettingsFile(process.env, SETTINGS_FILE)
  const config = readConfig(environment, file)
  const log = createLog(config.logLevel)
  const instance = instanceIn(environment)
  const worker = await composeWorker(config, {
    log,
    now: Date.now,
    elapsed: () => performance.now(),
    random: Math.random,
    newOwner: randomUUID,
    instance,
    emulators: emulatorsIn(environment),
    onCloudRun: environment['K_SERVICE'] !== undefined,
  })
  const server = await listen(worker, config)
  await startDelivery(worker, server)
  // Before the log line: a process that reads it may send a signal at once.
  const requested = shutdownRequested()
  log.info(
    { address: server.address(), instance, ...(file.isFileRead && { settings: SETTINGS_FILE }) },
    config.deliversItself ? 'listening, and delivering the messages of the SQLite file' : 'listening for pushes',
  )
  const cause = await requested
  log.info({ cause }, 'shutdown requested: no new job is admitted, running jobs are finished or released')
  await stop(server, worker, log)
}

/** An open server would keep a process that cannot start from ending. */
async function startDelivery(worker: Worker, server: Server): Promise<void> {
  try {
    await worker.start()
  } catch (cause) {
    server.close()
    throw new Error('STORE: the queue of the database file cannot be opened', { cause })
  }
}

/** Service and revision are named by Cloud Run. The id is random for each process. */
function instanceIn({ K_SERVICE, K_REVISION }: Environment): Instance {
  return {
    id: randomUUID(),
    ...defined({ service: K_SERVICE, revision: K_REVISION }),
  }
}

/** Resolves with the signal, or with `disconnect` when the command that started this process has ended. */
function shutdownRequested(): Promise<string> {
  const causes = ['SIGTERM', 'SIGINT', 'disconnect']
  return Promise.race(causes.map((cause) => once(process, cause).then(() => cause)))
}

async function stop(server: Server, worker: Worker, log: Log): Promise<void> {
  setTimeout(() => {
    log.error('some jobs could not be released in time; their leases expire')
    process.exit(0)
  }, EXIT_WITHIN_MS)
  worker.drain.begin(GRACE_MS)
  const closed = once(server, 'close')
  server.close()
  await worker.idle()
  await closed
  await worker.close()
  process.exit(0)
}

try {
  await start()
} catch (error) {
  process.stderr.write(printable(`promptbridge worker: ${error instanceof Error ? error.message : 'cannot start'}\n`))
  process.exitCode = 1
}

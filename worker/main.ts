import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { Server } from 'node:http'
import { readConfig } from '../shared/config/config.ts'
import type { Environment } from '../shared/config/rules.ts'
import { SETTINGS_FILE, withSettingsFile } from '../shared/config/settings-file.ts'
import { printable } from '../shared/lib/printable.ts'
import { emulatorsIn } from '../shared/stores/open.ts'
import type { Instance } from '../shared/stores/telemetry-store.ts'
import { composeWorker, type Worker } from './compose.ts'
import { listen } from './listen.ts'
import { createLog, type Log } from './observe/log.ts'

/** Cloud Run kills the process 10 s after SIGTERM: running jobs get six of them, their records the rest. */
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
  // Heard from here on: whoever reads the line may answer it with a signal.
  const told = toldToEnd()
  log.info(
    { address: server.address(), instance, ...(file.isFileRead && { settings: SETTINGS_FILE }) },
    'the worker listens for pushes',
  )
  const cause = await told
  log.info({ cause }, 'the worker ends: nothing new is admitted, running jobs are finished or given back')
  await stop(server, worker, log)
}

/** Cloud Run names service and revision; the id is this process's own. */
function instanceIn({ K_SERVICE, K_REVISION }: Environment): Instance {
  return {
    id: randomUUID(),
    ...(K_SERVICE !== undefined && { service: K_SERVICE }),
    ...(K_REVISION !== undefined && { revision: K_REVISION }),
  }
}

/** By a signal, or by the end of the command that started this process. */
function toldToEnd(): Promise<string> {
  const causes = ['SIGTERM', 'SIGINT', 'disconnect']
  return Promise.race(causes.map((cause) => once(process, cause).then(() => cause)))
}

async function stop(server: Server, worker: Worker, log: Log): Promise<void> {
  setTimeout(() => {
    log.error('some jobs could not be given back in time; their leases run out by themselves')
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

import { randomUUID } from 'node:crypto'
import { readConfig } from '../../../../shared/config/config.ts'
import { emulatorsIn } from '../../../../shared/stores/open.ts'
import { composeWorker } from '../../../../worker/compose.ts'
import { listen } from '../../../../worker/listen.ts'
import { createLog } from '../../../../worker/observe/log.ts'
import { MINUTE_MS } from './scaled-minute.ts'

/** The worker as `worker/main.ts` starts it, with the shorter minute of the model's limits. It ends with its parent. */
const config = readConfig(process.env, {})
const log = createLog('info')
const worker = await composeWorker(config, {
  ...{ log, now: Date.now, elapsed: () => performance.now(), random: Math.random, newOwner: randomUUID },
  ...{ instance: { id: randomUUID() }, emulators: emulatorsIn(process.env), onCloudRun: false },
  ...{ minuteMs: MINUTE_MS },
})
const server = await listen(worker, config)
await worker.start()
log.info({ address: server.address() }, 'listening for pushes')

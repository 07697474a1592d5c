import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { LimitEvents } from '../../../../local/azure-openai/limiter.ts'
import { DEFAULT_DEPLOYMENT } from '../../../../local/azure-openai.ts'
import { type CallLog, openCallLog } from '../../../../local/call-log.ts'
import { startPubSubPush } from '../../../../local/pubsub-push/pubsub-push.ts'
import { openSqliteQueue } from '../../../../shared/queues/sqlite/sqlite-queue.ts'
import { startCloud } from '../../../support/stand-ins.ts'
import { startServer } from '../overhead/start-server.ts'
import { MINUTE_MS, SCALE } from './scaled-minute.ts'

export interface Drain {
  readonly module: string
  /** Beside what all have; `endpoint`: of the model. */
  readonly env: (endpoint: string) => Readonly<Record<string, string>>
  readonly instances: number
  readonly jobs: number
  readonly events: LimitEvents
}

export interface Drained {
  readonly done: number
  readonly deadLetters: number
  readonly missedDeadlines: number
  readonly drainMs: number
  readonly idealMs: number
  readonly calls: number
  readonly refused: number
}

/** A thousand tokens a job, as Azure estimates them: 400 of the prompt and 600 of the answer. */
const PROMPT = 'Bridges carry people over water, in all weathers. '.repeat(32)
const MAX_TOKENS = 600
const TOKENS = Math.ceil(PROMPT.length / 4) + MAX_TOKENS
export const QUOTA = { requestsPerMinute: 1_800, tokensPerMinute: 300_000 }
const TOPIC = 'jobs'
const ACK_DEADLINE_MS = 600_000 / SCALE
const GIVE_UP_MS = 150_000
const POLL_MS = 50

/** Drains a batch through real processes: the pushes, the workers and the model are connected by HTTP. */
export async function drain({ module, env, instances, jobs, events }: Drain): Promise<Drained> {
  await using started = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'bench-'))
  started.defer(() => rm(folder, { recursive: true }))
  const file = join(folder, 'state.db')
  const log = started.adopt(await openCallLog(join(folder, 'calls.db')), (own) => own.close())
  const azure = {
    deployments: [{ ...DEFAULT_DEPLOYMENT, ...QUOTA }],
    minuteMs: MINUTE_MS,
    documentedLimits: () => events,
    latency: { baseMs: 300, spread: 0.5 },
  }
  const cloud = started.use(await startCloud({ log, azure, entra: { caPath: join(folder, 'ca.pem') } }))
  const own = env(cloud.azure.url)
  // A list of deployments replaces the one of the cloud.
  const { AZURE_OPENAI_ENDPOINT: _, AZURE_OPENAI_DEPLOYMENT: __, ...others } = cloud.env
  const settings = {
    ...{ HOST: '127.0.0.1', PORT: '0', PUSH_AUTH: 'off', STORE: `sqlite:${file}` },
    ...('DEPLOYMENTS' in own ? others : cloud.env),
    ...{ ACK_DEADLINE_SECONDS: String(ACK_DEADLINE_MS / 1_000), MODEL_TIMEOUT_SECONDS: '10' },
    DEAD_LETTER_TOPIC: 'dead',
    ...own,
  }
  const servers = await Promise.all(
    Array.from({ length: instances }, () => startServer(module, { env: settings, cwd: folder })),
  )
  for (const server of servers) started.use(server)
  const queue = started.adopt(await openSqliteQueue(file, Date.now), (own) => own.close())
  await queue.publishAll(
    TOPIC,
    Array.from({ length: jobs }, (_, n) => message(n)),
  )
  const startedAt = Date.now()
  const subscriptions = [subscription(servers.map(({ url }) => `${url}/push`))]
  const pushes = started.adopt(await startPubSubPush({ log, file, subscriptions }), (own) => own.close())
  let done = 0
  let deadLetters = 0
  while (done + deadLetters < jobs && Date.now() - startedAt < GIVE_UP_MS) {
    await delay(POLL_MS)
    const [status] = await pushes.status()
    done = status?.acked ?? 0
    deadLetters = status?.deadLettered ?? 0
  }
  const drainMs = Date.now() - startedAt
  const counts = await countCalls(log)
  return { done, deadLetters, drainMs, idealMs: (MINUTE_MS * jobs * TOKENS) / QUOTA.tokensPerMinute, ...counts }
}

function message(n: number) {
  const body = { messages: [{ role: 'user', content: PROMPT }], max_tokens: MAX_TOKENS }
  const job = { id: `quota-${n}`, url: '/v1/chat/completions', body }
  return { data: Buffer.from(JSON.stringify(job)), attributes: {} }
}

/** Every time of Pub/Sub is shortened as the minute is. */
function subscription([endpoint = '', ...alsoAt]: readonly string[]) {
  return {
    ...{ name: `projects/bench/subscriptions/${TOPIC}-worker`, topic: TOPIC, endpoint, alsoAt: [...alsoAt] },
    ackDeadlineMs: ACK_DEADLINE_MS,
    retry: { minBackoffMs: Math.round(10_000 / SCALE), maxBackoffMs: 600_000 / SCALE },
    deadLetter: { topic: 'dead', maxAttempts: 100 },
    flow: { maxOutstanding: 3_000, minBackoffMs: Math.round(100 / SCALE), maxBackoffMs: 60_000 / SCALE },
  }
}

async function countCalls(log: CallLog): Promise<Pick<Drained, 'calls' | 'refused' | 'missedDeadlines'>> {
  let [calls, refused, missedDeadlines, after] = [0, 0, 0, 0]
  for (;;) {
    const page = await log.read({ after })
    const last = page.at(-1)
    if (last === undefined) return { calls, refused, missedDeadlines }
    after = last.id
    const asked = page.filter(({ service }) => service === 'azure-openai')
    calls += asked.length
    refused += asked.filter(({ status }) => status === 429).length
    missedDeadlines += page.filter(
      ({ service, status, durationMs }) =>
        service === 'pubsub_push' && status === null && durationMs >= ACK_DEADLINE_MS,
    ).length
  }
}

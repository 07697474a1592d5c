import { replayLetters } from '../../../cli/dead-letters/replay-letters.ts'
import { parseJob } from '../../../shared/job/parse-job.ts'
import { sha256 } from '../../../shared/lib/sha256.ts'
import { type Message, QueueError } from '../../../shared/queues/job-queue.ts'
import { cancelJob } from '../../../shared/stores/cancel-job.ts'
import type { DeadLetter } from '../../../shared/stores/dead-letter-store.ts'
import { createFirestoreBatches } from '../../../shared/stores/firestore/firestore-batches.ts'
import { createFirestoreDeadLetters } from '../../../shared/stores/firestore/firestore-dead-letters.ts'
import { createFirestoreDocuments } from '../../../shared/stores/firestore/firestore-documents.ts'
import { isUnavailable, StoreError } from '../../../shared/stores/job-store.ts'
import { count } from './exercised.ts'
import { ANSWER_AT_LENGTH, REJECT } from './model-replies.ts'
import { hashOf, type NameMessage } from './monitor.ts'
import { BATCH, LARGE_BATCH, OTHER } from './settings.ts'
import { type Installation, queueOver, TOPICS } from './sim-worker.ts'
import { createWire, overWire } from './wire.ts'
import { createProcess } from './world.ts'

/** Who publishes, cancels and replays: commands on machines that work, over a network that does not. */
export interface People {
  /** How many things are still to be done. */
  pending(): number
}

const MINUTE_MS = 60_000
/** No replay of ours reaches it. */
const FORGED_RUN = 7
/** The model's answers take 150 each. */
const TOKEN_LIMIT = 150
const RAISED_TOKEN_LIMIT = 1_000_000
const TTL_MS = 30 * 24 * 60 * MINUTE_MS
const RETRY_MS = 45_000

type Parsed = ReturnType<typeof parseJob>
const parsedJobs = new WeakMap<Uint8Array, Parsed>()

/** A message is looked at many times, and its data holds all that is of interest. */
function parseOnce(data: Uint8Array): Parsed {
  const parsed = parsedJobs.get(data) ?? parseJob(data, {}, sha256)
  parsedJobs.set(data, parsed)
  return parsed
}

const NO_JOB = { key: undefined, model: undefined }

/** What a message is to the monitor, read by the publishers' own rule. */
export const nameMessage: NameMessage = ({ data, attributes }) => {
  const parsed = parseOnce(data)
  const run = Number(attributes['pb-run'] ?? 1)
  return { hash: hashOf(data), run, ...(parsed.ok ? { key: parsed.job.key, model: parsed.job.model } : NO_JOB) }
}

/** Plans all that people do in one history. */
export function planPeople(installation: Installation): People {
  const { world, faults, exercised, firestore, pubsub, monitor } = installation
  const { random } = world
  const process = createProcess('people')
  const steady = { ...faults, rates: { ...faults.rates, crash: 0, freeze: 0 } }
  const wire = createWire({ ...installation, faults: steady }, process, () => undefined)
  const database = overWire(firestore.connect(), wire, monitor.flushed(process))
  const documents = createFirestoreDocuments(database)
  const batches = createFirestoreBatches(database)
  const letters = createFirestoreDeadLetters(database)
  const queue = queueOver(pubsub, wire, { QueueError })
  const isLimited = random.chance(0.3)
  let pending = 0

  /** Does something at some time, and again until it works. */
  function plan(fromMinute: number, toMinute: number, work: () => Promise<unknown>): void {
    pending += 1
    const done = () => {
      pending -= 1
    }
    const again = (error: unknown) => {
      // What cannot be read now cannot be read later.
      if (error instanceof StoreError && !isUnavailable(error)) done()
      else world.after(RETRY_MS, process, attempt)
    }
    const attempt = () => void work().then(done, again)
    world.after(random.whole(fromMinute * MINUTE_MS, toMinute * MINUTE_MS), process, attempt)
  }

  const publish = (text: string, attributes: Message['attributes'] = {}) =>
    queue.publish(TOPICS.jobs, { data: Buffer.from(text), attributes })

  /** Gives the name of the job's batch, if it has one. */
  function planJob(id: string): string | undefined {
    const name = random.chance(0.5) ? BATCH : random.chance(0.3) ? LARGE_BATCH : undefined
    const batch = name === undefined ? {} : { batch: name }
    const deadlineAt = world.now() + random.whole(MINUTE_MS, random.pick([5, 30]) * MINUTE_MS)
    const deadline = random.chance(0.25) ? { deadline: new Date(deadlineAt).toISOString() } : {}
    const model = random.chance(0.25) ? { model: OTHER.model } : {}
    const job = { id, ...batch, ...deadline, ...model, prompt: drawPrompt(id) }
    const text = JSON.stringify(job)
    plan(0, 3, () => publish(text))
    if (random.chance(0.2)) plan(0, 10, () => publish(text))
    if (random.chance(0.15)) plan(0, 10, () => publish(JSON.stringify({ ...job, prompt: 'something else' })))
    if (random.chance(0.2)) plan(0, 30, () => publish(text, { 'pb-run': String(FORGED_RUN) }))
    if (random.chance(0.1)) plan(0, 20, () => cancel(text))
    return name
  }

  function drawPrompt(id: string): string {
    if (random.chance(0.15)) return REJECT
    return random.chance(0.02) ? ANSWER_AT_LENGTH : `summarise ${id}`
  }

  async function cancel(text: string): Promise<void> {
    const parsed = parseJob(Buffer.from(text), {}, sha256)
    if (!parsed.ok) return
    const now = world.now()
    const { kind } = await cancelJob(documents, parsed.job, { now, expireAt: now + TTL_MS })
    if (kind === 'cancelled') count(exercised, 'cancelled job')
  }

  function planBatch(name: string, total: number): void {
    if (total === 0) return
    // A job whose message is lost for good.
    const submitted = total + (random.chance(0.03) ? 1 : 0)
    plan(0, 0, () => batches.open(name, world.now()))
    plan(3, 8, async () => {
      await batches.open(name, world.now())
      await batches.seal(name, submitted, world.now())
    })
    if (name !== BATCH) return
    if (isLimited) plan(0, 0, () => batches.limitTokens(BATCH, TOKEN_LIMIT, world.now()))
    if (!random.chance(0.25)) return
    plan(0, 15, async () => {
      await batches.cancel(BATCH, world.now())
      count(exercised, 'cancelled batch')
    })
  }

  async function replay(letter: DeadLetter): Promise<void> {
    const rules = { force: true }
    const plan = { rules, changes: {}, dryRun: false, topic: TOPICS.jobs, now: world.now }
    const publishAll = (topic: string, messages: readonly Message[]) =>
      Promise.all(messages.map((message) => queue.publish(topic, message)))
    const [why] = await replayLetters({ documents, deadLetters: letters, queue: { publishAll } }, [letter], plan)
    if (why === undefined) count(exercised, 'replay')
  }

  async function replaySome(): Promise<void> {
    // As the command does with --token-limit: what is replayed must not meet the old one.
    if (isLimited) await batches.limitTokens(BATCH, RAISED_TOKEN_LIMIT, world.now())
    const { found } = await letters.list({}, 100)
    for (const letter of found) if (random.chance(0.7)) await replay(letter)
  }

  const ids = Array.from({ length: random.whole(1, 6) }, (_, n) => `doc-${n + 1}`)
  const names = ids.map(planJob)
  for (const name of [BATCH, LARGE_BATCH]) planBatch(name, names.filter((each) => each === name).length)
  if (random.chance(0.1)) plan(0, 5, () => publish('no job at all'))
  for (let rounds = random.whole(0, 3); rounds > 0; rounds -= 1) plan(5, 60, replaySome)
  return { pending: () => pending }
}

import type { Call } from '../../../local/call-log.ts'
import { isSettled, type JobRecord } from '../../../shared/job/record.ts'
import type { DeadLetter } from '../../../shared/stores/dead-letter-store.ts'
import { createJobReader, recordOf } from '../../../shared/stores/job-reader.ts'
import type { Stores } from '../../../shared/stores/open.ts'
import type { Backend } from './backend.ts'
import type { Evidence } from './evidence.ts'
import type { Feed } from './feed.ts'
import { JOBS_SUBSCRIPTION, readCalls, type Stage } from './stage.ts'

const PAGE = 300

/** Gathers what is left of a run. */
export async function gather(backend: Backend, feed: Feed, { log, crew }: Stage): Promise<Evidence> {
  const { stores } = backend
  const reader = createJobReader(stores.documents)
  const records: JobRecord[] = []
  for (const batch of ['', ...feed.batches]) {
    for await (const listed of reader.list(batch)) records.push(recordOf(listed))
  }
  const results = new Map<string, string>()
  for (const record of records) {
    if (!isSettled(record) || record.status !== 'succeeded') continue
    const text = await reader.readResult(record).catch(() => undefined)
    if (text !== undefined) results.set(record.key, text)
  }
  const batches = await Promise.all(feed.batches.map((name) => stores.batches.read(name)))
  const pushes = Map.groupBy(await readCalls(log, 'pubsub_push'), ({ operation }) => operation === JOBS_SUBSCRIPTION)
  return {
    ...{ sent: feed.sent, records, results, ends: crew.ends, events: await backend.events() },
    letters: await readLetters(stores),
    batches: batches.flatMap((batch) => batch ?? []),
    ...{ pushes: pushes.get(true) ?? [], letterPushes: pushes.get(false) ?? [] },
    asks: await readCalls(log, 'azure-openai'),
  }
}

/** All calls of the stand-ins whose faults have names. */
export async function gatherCalls({ log }: Pick<Stage, 'log'>): Promise<readonly Call[]> {
  return (await Promise.all(['azure-openai', 'entra', 'metadata'].map((service) => readCalls(log, service)))).flat()
}

async function readLetters({ deadLetters }: Pick<Stores, 'deadLetters'>): Promise<readonly DeadLetter[]> {
  const letters: DeadLetter[] = []
  for (;;) {
    const { found } = await deadLetters.list({}, PAGE, letters.at(-1)?.id)
    letters.push(...found)
    if (found.length < PAGE) return letters
  }
}

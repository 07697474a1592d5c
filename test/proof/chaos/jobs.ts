import { CONTENT_FILTER_MARKER } from '../../../local/azure-openai/answer-call.ts'
import { AZURE } from '../../../local/identities.ts'
import { jobKey } from '../../../shared/job/job.ts'
import { sha256 } from '../../../shared/lib/sha256.ts'
import type { Random } from '../support/seeded-random.ts'
import { SIDES, type SideName } from './faults.ts'

/** A message as it is to be published. */
export interface MadeMessage {
  readonly data: Buffer
  readonly attributes: Readonly<Record<string, string>>
  /** Absent for what is no job. */
  readonly id?: string
  readonly key?: string
  /** The deployment beside the main one that it asks, where it may wait for long. */
  readonly side?: SideName
}

/** Messages that are published together: a batch, or loose ones. */
export interface Group {
  /** Empty for loose ones. */
  readonly batch: string
  readonly messages: readonly MadeMessage[]
  /** How many jobs they are. */
  readonly total: number
}

const JOBS_A_GROUP = 10
/** Every so manieth group is no batch. */
const LOOSE_EVERY = 3
const SENTENCES = ['Bridges carry people over water.', 'The river rose in May.', 'No toll is charged.']

/** Makes a group of jobs, some of which are to fail. `now`: epoch milliseconds. */
export function makeGroup(n: number, random: Random, now: number): Group {
  const isLoose = n % LOOSE_EVERY === LOOSE_EVERY - 1
  const batch = isLoose ? '' : `chaos-${n}`
  const makeRow = (_: unknown, row: number) => {
    const side = isLoose ? SIDES[row - 1] : undefined
    return side === undefined ? makeJob(`doc-${n}-${row}`, batch, row, random, now) : makeAside(`doc-${n}-${row}`, side)
  }
  const jobs = Array.from({ length: JOBS_A_GROUP }, makeRow)
  const more = isLoose ? [poison(n), conflictWith(`doc-${n}-0`, now)] : jobs.slice(0, 1)
  return { batch, messages: [...jobs, ...more], total: JOBS_A_GROUP }
}

/** The first of a group is never one that fails by itself. */
function makeJob(id: string, batch: string, row: number, random: Random, now: number): MadeMessage {
  const draw = row === 0 ? 1 : random.next()
  const text = SENTENCES.slice(0, random.whole(1, SENTENCES.length)).join(' ')
  const model = draw < 0.04 ? 'a model without a deployment' : AZURE.deployment
  const content = draw > 0.04 && draw < 0.08 ? `${text} ${CONTENT_FILTER_MARKER}` : `${text} (${id})`
  const deadline = new Date(now + random.whole(500, 5_000)).toISOString()
  const late = draw > 0.08 && draw < 0.14 ? { deadline } : {}
  return jobMessage(id, batch, { body: bodyOf(model, content), metadata: { row: String(row) }, ...late })
}

function makeAside(id: string, side: SideName): MadeMessage {
  return { ...jobMessage(id, '', { body: bodyOf(side, `One side of the river. (${id})`) }), side }
}

function bodyOf(model: string, content: string) {
  return { model, messages: [{ role: 'user', content }], max_completion_tokens: 100 }
}

function jobMessage(id: string, batch: string, job: object): MadeMessage {
  const data = Buffer.from(JSON.stringify({ id, url: '/v1/chat/completions', ...job }))
  return { data, attributes: batch === '' ? {} : { batch }, id, key: jobKey(batch, id, sha256) }
}

function poison(n: number): MadeMessage {
  return { data: Buffer.from(`{"id": "doc-${n}", this is no JSON`), attributes: {} }
}

/** Another payload under the name of a loose job. */
function conflictWith(id: string, now: number): MadeMessage {
  return jobMessage(id, '', { body: bodyOf(AZURE.deployment, `Another text, of ${now}.`) })
}

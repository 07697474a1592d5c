import { createHash } from 'node:crypto'
import { messageViolations } from '../../../cli/violations.ts'
import type { Message } from '../../../shared/queues/job-queue.ts'
import { count, type Exercised } from './exercised.ts'
import type { Document, FakeFirestore, OnWrite } from './fake-database.ts'
import { isMaybeBilled, type ModelCall, mayBeBilled } from './fake-model.ts'
import type { Faults } from './faults.ts'
import type { Breach, Invariant } from './invariants.ts'
import { judgeSend } from './judge-send.ts'
import { judgeWrite } from './judge-write.ts'
import { createLiveness } from './liveness.ts'
import { covers, isOver, readLetter, readRecord, type SeenLetter, type SeenRecord } from './records.ts'
import { ACK_DEADLINE_MS, MAX_ATTEMPTS, MAX_JOB_AGE_MS, USABLE_SHARE } from './settings.ts'
import type { Process, World } from './world.ts'

/** By so much a clock may be wrong: it starts wrong, and is set. */
const MAX_CLOCK_ERROR_MS = 25 * 60_000
/** The invariants that also hold for jobs whose records were edited by hand. */
const HOLDS_FOR_EDITED: readonly Invariant[] = [
  ...(['every-message-ends', 'ends-in-time', 'unreadable-ends-by-age', 'no-fault-of-our-own'] as const),
  'one-write-at-a-time',
]

/** What the last release did not promise. */
const NOT_YET_PROMISED: readonly Invariant[] = [
  ...(['outage-kills-none', 'waits', 'timeouts-bounded', 'missing-waits', 'no-start-after-deadline'] as const),
  ...(['whole-model-time', 'asked-under-lease', 'paid-answer-kept', 'good-resource-flows'] as const),
  'one-billed-send',
  'unreadable-ends-by-age',
]

/** A message on the jobs topic, as its publisher meant it. */
export interface Published {
  readonly hash: string
  readonly run: number
  /** Absent for what is no job. */
  readonly key: string | undefined
  /** Absent for what names none. */
  readonly model: string | undefined
}

/** Looks at all that is durable, and says when it is not as it must be. */
export interface Monitor {
  readonly breaches: readonly Breach[]
  readonly calls: readonly ModelCall[]
  /** `key/run/status` of every end that was ever written, with when that was. */
  readonly ends: ReadonlyMap<string, number>
  readonly events: ReadonlySet<string>
  readonly published: readonly Published[]
  /** The longest that a job took to end when nothing failed any more, in milliseconds. */
  longestEndMs(): number
  breach(invariant: Invariant, what: string): void
  /** The same for what this process did: the last release broke some promises of this version. */
  breachBy(process: Process | undefined): Monitor['breach']
  wrote: OnWrite
  publishedTo(topic: string, message: Message): void
  acknowledged(message: Message): void
  /** A message that Pub/Sub forwarded was acknowledged. It may have been published again. */
  forwardedEnded(message: Message): void
  /** A process works on a push from now on; what it gives is to be called when it has answered. */
  delivering(message: Message, process: Process): () => void
  sending(requestId: string, deployment: string, process: Process): void
  taken(call: ModelCall, process: Process): void
  /** `hash run` of the messages that were acknowledged while a record said how their jobs ended. */
  readonly answered: ReadonlySet<string>
  /** A record was edited by hand. */
  edited(after: Document): void
  /** The jobs whose records the last release wrote, too. */
  readonly mixedJobs: ReadonlySet<string>
  /** The jobs whose records were. */
  readonly editedJobs: ReadonlySet<string>
  /** A process has read that a batch is cancelled. */
  heardOfCancel(process: Process, batch: string): void
  /** A process published again what Pub/Sub gave up; it began to look at it at this time. */
  rescued(key: string, run: number, lookedAt: number): void
  /** The documents of a call that goes out; what it gives is to be called when the call is over. */
  flushed(process: Process): (names: readonly string[]) => () => void
}

interface MonitorParts {
  readonly world: World
  readonly exercised: Exercised
  readonly store: () => FakeFirestore
  readonly nameOf: NameMessage
  readonly processes: ReadonlyMap<string, Process>
  readonly faults: Faults
}

export function createMonitor({ world, exercised, store, nameOf, processes, faults }: MonitorParts): Monitor {
  const breaches: Breach[] = []
  const calls: ModelCall[] = []
  const ends = new Map<string, number>()
  const events = new Set<string>()
  const published: (Published & { readonly at: number })[] = []
  const cancelsHeard = new Set<string>()
  const deadLettered = new Set<string>()
  const answered = new Set<string>()
  const mixed = new Set<string>()
  /** When a deployment was found missing first. */
  const missingSince = new Map<string, number>()
  /** When the pushes end that a process works on, by process, key and run. */
  const deliveries = new Map<string, Set<number>>()

  /** The jobs whose records were edited by hand. */
  const edited = new Set<string>()

  function breach(invariant: Invariant, what: string): void {
    // Of such a job less can be promised; every breach names its job.
    if (!HOLDS_FOR_EDITED.includes(invariant) && [...edited].some((key) => what.includes(key))) return
    world.note('BREACH', `${invariant}: ${what}`)
    breaches.push({ invariant, what })
  }

  function breachBy(process: Process | undefined): Monitor['breach'] {
    if (process?.release !== 'last') return breach
    return (invariant, what) => {
      const isNew = NOT_YET_PROMISED.includes(invariant)
      // There were more edited records than it could read.
      const isOfEdit = invariant === 'no-fault-of-our-own' && edited.size > 0
      if (!isNew && !isOfEdit) breach(invariant, what)
    }
  }

  const liveness = createLiveness(world.now, faults.overAt, (what) => breach('ends-in-time', what))

  const recordOf = (key: string): SeenRecord | undefined => {
    const found = store().get(`${store().root}/promptJobs/${key}`)
    return found && readRecord(found)
  }
  const hasLetter = ({ hash, run }: Published) =>
    deadLettered.has(`${hash} ${run}`) ||
    store()
      .documents('deadLetters')
      .map(readLetter)
      .some((letter) => letter.data.sha256 === hash && letter.run === run)

  /** Notes that a message ended with its job, where the job's record says so now. */
  function noteEnd(named: Published): boolean {
    const record = named.key === undefined ? undefined : recordOf(named.key)
    const hasEnded = record !== undefined && (covers(record, named) || record.run > named.run)
    if (hasEnded) {
      answered.add(`${named.hash} ${named.run}`)
      liveness.answered(named)
    }
    return hasEnded
  }

  /** Each send whose billing is unknown is an attempt that counts, or its sender died and that has cost an attempt. */
  function judgeMaybeBilled(requestId: string): void {
    const run = requestId.slice(0, requestId.lastIndexOf('.') + 1)
    const maybeBilled = calls.filter((call) => isMaybeBilled(call) && call.requestId.startsWith(run)).length
    if (maybeBilled > MAX_ATTEMPTS)
      breach('attempts-bounded', `${requestId} is send ${maybeBilled} of its run that may have been billed`)
  }

  /** Two sends with one id are of one attempt. Its deployments change only while nothing can have been billed. */
  function judgeRepeat(call: ModelCall, report: Monitor['breach']): void {
    const earlier = calls.filter(({ requestId }) => requestId === call.requestId)
    if (earlier.some(({ deployment }) => deployment !== call.deployment)) {
      count(exercised, 'another deployment asked in one attempt')
    }
    const billed = earlier.find(mayBeBilled)
    if (billed !== undefined)
      report('one-billed-send', `${call.requestId} at ${call.deployment} after ${billed.behaviour}`)
  }

  /** Nothing of an unreadable record says that its job is not healthy: only its age ends it. */
  function judgeLetter({ key, run, reason, data: { sha256: hash } }: SeenLetter, report: Monitor['breach']): void {
    // What a worker dead-lettered was decided before its letter came here.
    if (key === undefined || deadLettered.has(`${hash} ${run}`)) return
    const isUnreadable = recordOf(key)?.status === 'unreadable'
    const isTime = reason === 'max_age' || reason === 'expired'
    if (isUnreadable && isTime) count(exercised, 'unreadable record ended by its age')
    const first = published.find((message) => message.hash === hash && message.run === run)
    const ageMs = world.now() - (first?.at ?? 0)
    const isTooSoon = reason === 'max_age' && ageMs < MAX_JOB_AGE_MS - MAX_CLOCK_ERROR_MS
    if (reason === 'store' || (isUnreadable && (!isTime || isTooSoon))) {
      report('unreadable-ends-by-age', `${key} run ${run}: ${reason} after ${ageMs / 60_000} minutes`)
    }
  }

  /** A settled record never names parts that are not there. */
  function judgeParts(name: string, { key, result }: SeenRecord): void {
    if (result?.in !== 'parts') return
    count(exercised, 'answer in parts')
    const isThere = (n: number) => store().get(`${name}/parts/${result.owner}-${n}`) !== undefined
    const isWhole = Array.from({ length: result.count ?? 0 }, (_, n) => isThere(n)).every(Boolean)
    if (!isWhole) breach('whole-answer', `${key} names ${result.count} parts`)
  }

  function judgePublished(topic: string, { attributes }: Message): void {
    const { 'ce-id': id, 'ce-type': type, 'pb-key': key, 'pb-reason': reason = '' } = attributes
    if (topic === 'events' && id !== undefined && type?.startsWith('promptbridge.job.')) {
      events.add(id)
      if (!ends.has(id)) breach('published-after-settle', `event ${id}, and no record says so`)
    } else if (topic === 'events' && id !== undefined) events.add(id)
    else if (topic === 'dead' && key !== undefined && reason !== 'conflict' && reason !== 'invalid') {
      const record = recordOf(key)
      const isSettled = [...ends.keys()].some((end) => end.startsWith(`${key}/`) && end.endsWith('/dead_lettered'))
      if (record === undefined || !isSettled)
        breach('published-after-settle', `dead letter of ${key}, and no record says so`)
    }
  }

  return {
    ...{ breaches, calls, ends, events, published, breach, breachBy, longestEndMs: liveness.longestMs },
    wrote(after, before, writer) {
      if (after.name.includes('/deadLetters/') && !after.name.includes('/parts/')) {
        // People only mark what they replayed.
        if (writer !== undefined) judgeLetter(readLetter(after), breachBy(writer))
        liveness.lettered(readLetter(after))
      }
      if (!after.name.includes('/promptJobs/') || after.name.includes('/parts/')) return
      const [now, was] = [readRecord(after), before && readRecord(before)]
      judgeWrite({ now, was, processes, calls, missingSince }, breachBy(writer), exercised)
      if (writer?.release === 'last') mixed.add(now.key)
      judgeParts(after.name, now)
      const end = `${now.key}/${now.run}/${now.status}`
      if (!isOver(now)) return
      if (!ends.has(end)) ends.set(end, world.now())
      liveness.settled(now)
    },
    publishedTo(topic, message) {
      world.note('pubsub', `${topic} takes ${describe(message)}`)
      if (topic === 'jobs') {
        published.push({ ...nameOf(message), at: world.now() })
        liveness.published(nameOf(message))
      }
      if (topic === 'dead' && message.attributes['pb-reason'] !== undefined) {
        const { hash, run } = nameOf(message)
        deadLettered.add(`${hash} ${run}`)
      }
      judgePublished(topic, message)
    },
    acknowledged(message) {
      const named = nameOf(message)
      const wrong = messageViolations({ isAcknowledged: true, hasEnded: noteEnd(named) || hasLetter(named) })
      if (wrong.includes('acknowledged_before_end')) {
        breach('ack-after-record', `${describe(message)} of ${named.key ?? 'no job'}`)
      }
    },
    forwardedEnded: (message) => void noteEnd(nameOf(message)),
    delivering(message, process) {
      const { key, run } = nameOf(message)
      const name = `${process.name} ${key} ${run}`
      const endsAt = world.now() + USABLE_SHARE * ACK_DEADLINE_MS
      const ends = deliveries.get(name) ?? new Set()
      deliveries.set(name, ends.add(endsAt))
      return () => void ends.delete(endsAt)
    },
    sending(requestId, deployment, process) {
      const [key = '', run] = requestId.split('.')
      const record = recordOf(key)
      const isCancelled = record !== undefined && cancelsHeard.has(`${process.name} ${record.batch}`)
      const ends = [...(deliveries.get(`${process.name} ${key} ${run}`) ?? [])]
      const pushEndsAt = ends.length > 0 ? Math.max(...ends) : undefined
      judgeSend(
        { requestId, process, deployment, record, pushEndsAt, isCancelled, now: world.now() },
        breachBy(process),
      )
    },
    taken(call, process) {
      judgeRepeat(call, breachBy(process))
      calls.push(call)
      judgeMaybeBilled(call.requestId)
      const { deployment, behaviour } = call
      if (behaviour === 'missing' && !missingSince.has(deployment)) missingSince.set(deployment, world.now())
    },
    ...{ editedJobs: edited, mixedJobs: mixed, answered },
    edited(after) {
      const { key } = readRecord(after)
      edited.add(key)
      liveness.edited(key)
    },
    heardOfCancel: (process, batch) => void cancelsHeard.add(`${process.name} ${batch}`),
    rescued(key, run, lookedAt) {
      count(exercised, 'rescue')
      for (const [end, at] of ends) {
        const [endedKey, endedRun, status] = end.split('/')
        const isEnd = endedKey === key && (Number(endedRun) >= run || status === 'succeeded')
        if (isEnd && at < lookedAt) breach('no-idle-rescue', `${key} run ${run}, ${status} since ${at}`)
      }
    },
    flushed(process) {
      const underWay = new Set<string>()
      return (names) => {
        for (const name of names) {
          if (underWay.has(name)) breach('one-write-at-a-time', `${process.name} writes ${name} twice at once`)
        }
        if (new Set(names).size < names.length)
          breach('one-write-at-a-time', `${process.name} writes one twice in a call`)
        for (const name of names) underWay.add(name)
        return () => {
          for (const name of names) underWay.delete(name)
        }
      }
    },
  }
}

/** Describes a message by its data and attributes. */
export type NameMessage = (message: Message) => Published

export function hashOf(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}

function describe({ data, attributes }: Message): string {
  const values = ['pb-run', 'pb-reason', 'ce-id'].flatMap((name) =>
    attributes[name] ? [`${name}=${attributes[name]}`] : [],
  )
  return [hashOf(data).slice(0, 6), ...values].join(' ')
}

import { collectBackgroundWork } from '../../../worker/delivery/background-work.ts'
import type { Outcome } from '../../../worker/delivery/outcome.ts'
import { count } from './exercised.ts'
import type { Push } from './fake-pubsub.ts'
import { composeSimWorker, type Installation, type SimWorker, TOPICS } from './sim-worker.ts'
import { createWire } from './wire.ts'
import { createProcess, type Process } from './world.ts'

/** The worker processes of an installation, as what stands before them reaches them. */
export interface Cluster {
  /** Delivers a push to some instance. Resolves with whether it was acknowledged, or never. */
  push(topic: string, push: Push): Promise<boolean>
  /** Lets some instance sweep. */
  sweep(): void
}

interface Instance {
  readonly process: Process
  readonly worker: SimWorker
  /** Each push that is being answered. */
  readonly open: Set<(isAcked: boolean) => void>
}

const MAX_START_MS = 30_000
const MAX_SKEW_MS = 10 * 60_000
/** As in worker/main.ts. */
const GRACE_MS = 6_000
const EXIT_WITHIN_MS = 8_500
/** Memory is not simulated: there is always room for an answer. */
const ROOM = { takeAnswer: () => true }

/** Runs so many instances: one that dies is followed by another. */
export function startCluster(installation: Installation, size: number): Cluster {
  const { world, monitor, exercised, faults, processes } = installation
  const { random } = world
  const instances = new Set<Instance>()
  let started = 0

  function start(): void {
    started += 1
    const skewMs = random.chance(0.3) ? random.whole(-MAX_SKEW_MS, MAX_SKEW_MS) : 0
    const release = world.now() < faults.upgradedAt && random.chance(0.5) ? 'last' : 'this'
    const process = createProcess(`worker-${started}`, skewMs, release)
    processes.set(process.name, process)
    const wire = createWire(installation, process, die)
    const worker = world.as(process, () => composeSimWorker(installation, process, wire))
    const instance: Instance = { process, worker, open: new Set() }
    instances.add(instance)
    world.note(process.name, `starts, its clock off by ${skewMs} ms${release === 'last' ? ', the last release' : ''}`)
    if (release === 'last') {
      count(exercised, 'worker of the last release')
      world.after(faults.upgradedAt - world.now(), process, () => drain(instance, die))
    }

    function die(why: string): void {
      if (process.isDead) return
      process.isDead = true
      world.note(process.name, why)
      instances.delete(instance)
      for (const answer of instance.open) {
        // Its connections break, or its callers learn of it only at their time limit.
        if (random.chance(0.5)) world.after(random.whole(1, 1_000), undefined, () => answer(false))
      }
      world.after(random.whole(1_000, MAX_START_MS), undefined, start)
    }

    if (random.chance(0.3) && world.now() < faults.calmAt) {
      world.after(random.whole(0, 10 * 60_000), process, () => drain(instance, die))
    }
  }

  function drain({ process, worker }: Instance, die: (why: string) => void): void {
    count(exercised, 'drain')
    world.note(process.name, 'gets a shutdown request')
    process.troubledAt = Number.POSITIVE_INFINITY
    worker.drain.begin(GRACE_MS)
    world.after(EXIT_WITHIN_MS, process, () => die('ends'))
  }

  const anyInstance = () => {
    const ready = [...instances].filter(({ worker }) => !worker.drain.begun.aborted)
    return ready.length === 0 ? undefined : random.pick(ready)
  }

  async function handle({ worker, process }: Instance, topic: string, push: Push): Promise<boolean> {
    const { id: messageId, data, attributes, attempt: deliveryAttempt, publishedAt } = push
    const arrivedAt = worker.now()
    const lookedAt = world.now()
    const delivery = { messageId, data, attributes, deliveryAttempt, publishedAt, traceparent: undefined, arrivedAt }
    const read = { ok: true, delivery } as const
    const carried = collectBackgroundWork()
    const answered = topic === TOPICS.jobs ? monitor.delivering(push, process) : () => undefined
    const receive = () => worker.receiver.receive(read, carried.waitUntil, ROOM).finally(answered)
    const outcome = topic === TOPICS.jobs ? await receive() : await worker.recordDeadLetter(read)
    tally(outcome, lookedAt)
    await carried.done(worker.drain.begun)
    return outcome.done
  }

  function tally(outcome: Outcome, lookedAt: number): void {
    const { jobKey, run = 1 } = outcome.logFields
    if (!outcome.done) {
      if (outcome.failure.message.includes('took the job over')) count(exercised, 'dropped answer')
    } else if (outcome.as === 'rescued' && jobKey !== undefined) monitor.rescued(jobKey, run, lookedAt)
    else if (outcome.as === 'conflict') count(exercised, 'conflict')
    else if (outcome.as === 'poison') count(exercised, jobKey === undefined ? 'poison' : 'forged run')
  }

  for (let each = 0; each < size; each += 1) start()
  return {
    push(topic, push) {
      const { promise, resolve } = Promise.withResolvers<boolean>()
      const instance = anyInstance()
      if (instance === undefined) {
        resolve(false)
        return promise
      }
      instance.open.add(resolve)
      world.after(random.whole(1, 100), instance.process, () => {
        handle(instance, topic, push)
          .catch((error: unknown) => {
            monitor.breachBy(instance.process)('no-fault-of-our-own', `a push of ${topic} ends in ${say(error)}`)
            return false
          })
          .then(resolve, resolve)
          .finally(() => instance.open.delete(resolve))
      })
      return promise
    },
    sweep() {
      const instance = anyInstance()
      if (instance === undefined) return
      world.after(0, instance.process, () => {
        const { process, worker } = instance
        const breach = monitor.breachBy(process)
        world.note(process.name, 'sweeps')
        worker.sweep().catch((error: unknown) => {
          if (!worker.isStoreFailure(error)) breach('no-fault-of-our-own', `a sweep ends in ${say(error)}`)
        })
      })
    },
  }
}

export function say(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

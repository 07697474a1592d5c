import type { Random } from '../../support/seeded-random.ts'
import type { InstanceParts, InstancePolicy, Policy } from './policy.ts'
import type { Delivery } from './push-subscription.ts'
import type { QuotaService } from './quota-service.ts'
import type { VirtualTime } from './virtual-time.ts'

interface Instance {
  /** Its share of the load, beside the others. */
  readonly weight: number
  readonly policy: InstancePolicy
  /** Deliveries without an answer. */
  readonly held: Set<Delivery>
  isEnding: boolean
}

interface FleetOptions {
  readonly policy: Policy
  readonly instances: number
  readonly quota: { readonly rpm: number; readonly tpm: number }
}

const MOST_HELD = 100
const START_MS = { from: 1_000, to: 5_000 }
/** Half a minute until the last of the fleet has started. */
const SCALE_UP_MS = 30_000
const LIFE_MS = { from: 5 * 60_000, to: 30 * 60_000 }
const GRACE_MS = 10_000
/** Some instances get ten times the load of others: a load balancer is not fair in the short run. */
const WEIGHTS = [0.3, 0.6, 1, 1, 1, 1.5, 3] as const
/** The worker's estimate of a request and the provider's differ by up to so much. */
const ESTIMATE_ERROR = 0.05

/** A Cloud Run service: instances that come and go, with uneven load. Returns what takes a delivery. */
export function startInstances(
  time: VirtualTime,
  random: Random,
  services: readonly QuotaService[],
  { policy, instances, quota }: FleetOptions,
): (delivery: Delivery) => void {
  const fleet: Instance[] = []

  function start(): void {
    const parts: InstanceParts = {
      time,
      random,
      deployments: services.length,
      quota: { ...quota, maxInstances: instances },
    }
    const instance: Instance = {
      weight: random.pick(WEIGHTS),
      policy: policy.start(parts),
      held: new Set(),
      isEnding: false,
    }
    fleet.push(instance)
    time.after(random.whole(LIFE_MS.from, LIFE_MS.to), () => end(instance))
  }

  /** Takes no further delivery, and has its grace period. Another one takes its place. */
  function end(instance: Instance): void {
    fleet.splice(fleet.indexOf(instance), 1)
    instance.isEnding = true
    instance.policy.drain?.()
    time.after(GRACE_MS, () => {
      for (const delivery of [...instance.held]) delivery.answer('nacked')
    })
    time.after(random.whole(START_MS.from, START_MS.to), start)
  }

  function take(instance: Instance, delivery: Delivery): void {
    const { tokens } = delivery.message
    instance.held.add(delivery)
    instance.policy.handle({
      estimate: Math.round(tokens * (1 + ESTIMATE_ERROR * (2 * random.next() - 1))),
      send: (onReply, deployment = 0) => {
        // The connections of an instance end with it.
        if (isOver(instance, delivery)) return
        services[deployment]?.send(tokens, (reply) => isOver(instance, delivery) || onReply(reply))
      },
      answer(answer) {
        if (!instance.held.delete(delivery)) return
        delivery.answer(answer)
      },
    })
  }

  const first = Math.ceil(instances / 4)
  for (let n = 0; n < instances; n += 1) {
    if (n < first) start()
    else time.after(random.whole(0, SCALE_UP_MS), start)
  }
  return (delivery) => {
    const instance = pickInstance(fleet, random)
    // Cloud Run refuses what no instance has room for.
    if (instance === undefined) time.after(random.whole(10, 100), () => delivery.answer('nacked'))
    else time.after(random.whole(5, 30), () => take(instance, delivery))
  }
}

function isOver({ isEnding, held }: Instance, delivery: Delivery): boolean {
  return isEnding && !held.has(delivery)
}

function pickInstance(fleet: readonly Instance[], random: Random): Instance | undefined {
  const open = fleet.filter(({ held }) => held.size < MOST_HELD)
  let left = random.next() * open.reduce((sum, { weight }) => sum + weight, 0)
  for (const instance of open) {
    left -= instance.weight
    if (left < 0) return instance
  }
  return open.at(-1)
}

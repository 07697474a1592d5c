import type { Random } from '../../support/seeded-random.ts'
import type { ServiceReply } from './quota-service.ts'
import type { VirtualTime } from './virtual-time.ts'

/** A job that an instance holds. */
export interface HeldJob {
  /** What the instance believes that the provider will charge. */
  readonly estimate: number
  /** Sends its request to a deployment; to the first when absent. */
  send(onReply: (reply: ServiceReply) => void, deployment?: number): void
  answer(answer: 'acked' | 'nacked'): void
}

export interface InstanceParts {
  readonly time: VirtualTime
  readonly random: Random
  /** How many deployments there are. */
  readonly deployments: number
  /** What an operator may set: the quota, and the most instances. */
  readonly quota: { readonly rpm: number; readonly tpm: number; readonly maxInstances: number }
}

/** How an instance treats its jobs. It ends every job that it is given. */
export interface InstancePolicy {
  handle(job: HeldJob): void
  /** The instance is about to end: jobs whose requests are not sent yet are released. */
  drain?(): void
}

export interface Policy {
  readonly name: string
  /** An instance starts. */
  start(parts: InstanceParts): InstancePolicy
}

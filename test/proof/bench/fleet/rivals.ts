import type { HeldJob, InstanceParts, Policy } from './policy.ts'
import type { ServiceReply } from './quota-service.ts'

/** Waits after so many refusals; undefined: no more tries. */
type Wait = (refusals: number, reply: ServiceReply, random: () => number) => number | undefined

const SDK_RETRIES = 2
const SDK_MAX_DELAY_MS = 8_000
const SDK_MAX_RETRY_AFTER_MS = 60_000

/** The openai client: two retries, after the time that the service names if it is under a minute, else 0.5 s doubling to 8. */
const sdkWait: Wait = (refusals, { retryAfterMs }, random) => {
  if (refusals > SDK_RETRIES) return undefined
  if (retryAfterMs !== undefined && retryAfterMs > 0 && retryAfterMs < SDK_MAX_RETRY_AFTER_MS) return retryAfterMs
  return Math.min(500 * 2 ** (refusals - 1), SDK_MAX_DELAY_MS) * (1 - random() * 0.25)
}

/** p-retry: ten retries, from 1 s doubling without a cap and without jitter. */
const pRetryWait: Wait = (refusals) => (refusals > 10 ? undefined : 1_000 * 2 ** (refusals - 1))

const nackAtOnceWait: Wait = () => undefined

export const sdkDefaults: Policy = { name: 'SDK defaults', start: (parts) => retrying(parts, sdkWait) }
export const pRetryDefaults: Policy = { name: 'p-retry defaults', start: (parts) => retrying(parts, pRetryWait) }
export const nackAtOnce: Policy = { name: 'nack at once', start: (parts) => retrying(parts, nackAtOnceWait) }

/** A bucket for each instance with its even share of the quota, refilled evenly, and the client's retries after it. */
export const tokenBucket: Policy = {
  name: 'token bucket',
  start(parts) {
    const { time, quota } = parts
    const inner = retrying(parts, sdkWait)
    const requests = createTurns(quota.rpm / quota.maxInstances)
    const tokens = createTurns(quota.tpm / quota.maxInstances)
    return {
      handle(job) {
        const now = time.now()
        const waitMs = Math.max(requests(1, now), tokens(job.estimate, now))
        time.after(waitMs, () => inner.handle(job))
      },
    }
  },
}

/** Gives turns at an even rate: returns for how long to wait. */
function createTurns(perMinute: number) {
  let due = 0
  return (amount: number, now: number): number => {
    const turn = Math.max(due, now)
    due = turn + (amount * 60_000) / perMinute
    return turn - now
  }
}

function retrying({ time, random }: InstanceParts, wait: Wait) {
  return {
    handle(job: HeldJob) {
      let refusals = 0
      const send = () =>
        job.send((reply) => {
          if (!reply.isRefused) return job.answer('acked')
          refusals += 1
          const waitMs = wait(refusals, reply, random.next)
          if (waitMs === undefined) return job.answer('nacked')
          time.after(waitMs, send)
        })
      send()
    },
  }
}

import { setTimeout as delay } from 'node:timers/promises'
import pRetry from 'p-retry'
import { sha256 } from '../../../shared/lib/sha256.ts'
import type { Stores } from '../../../shared/stores/open.ts'
import type { Random } from '../support/seeded-random.ts'
import type { Sent } from './evidence.ts'
import { type Group, type MadeMessage, makeGroup } from './jobs.ts'

/** Publishes jobs, group after group, no faster than they are done with. */
export interface Feed {
  readonly sent: readonly Sent[]
  readonly batches: readonly string[]
  /** A job of the group that was published last, or of the one that comes next. */
  jobOf(which: 'latest' | 'upcoming'): { readonly id: string; readonly batch: string }
  /** Publishes no more. Rejects with what went wrong. */
  stop(): Promise<void>
}

export interface FeedParts {
  readonly stores: Pick<Stores, 'queue' | 'batches'>
  readonly topic: string
  readonly random: Random
  /** Epoch milliseconds. */
  readonly now: () => number
  /** Hashes of the payloads that were acknowledged so far. */
  readonly acked: ReadonlySet<string>
  /** How many messages may be under way. */
  readonly most: number
  /** How long to wait from one group to the next at least. */
  readonly pauseMs: number
}

const LOOK_EVERY_MS = 50
const MOST_ASIDE = 2
/** The publisher has a store that fails, too; what it publishes again is one job. */
const TRY_AGAIN = { retries: 20, minTimeout: 100, maxTimeout: 1_000 }

export function startFeed(parts: FeedParts, signal: AbortSignal): Feed {
  const { stores, topic, random, now, acked, most, pauseMs } = parts
  const sent: Sent[] = []
  const batches: string[] = []
  const stopping = new AbortController()
  const over = AbortSignal.any([signal, stopping.signal])
  let n = 0
  let upcoming = makeGroup(n, random, now())
  let latest = upcoming

  const waiting = () => sent.filter(({ sha256 }) => !acked.has(sha256))
  /** More that wait for one deployment would take up the pushes of all others. */
  const hasRoom = ({ side }: MadeMessage) =>
    side === undefined || waiting().filter((other) => other.side === side).length < MOST_ASIDE

  async function publish({ batch, messages: made, total }: Group): Promise<void> {
    const messages = made.filter(hasRoom)
    const tried = <T>(work: () => Promise<T>) => pRetry(work, TRY_AGAIN)
    if (batch !== '') {
      await tried(() => stores.batches.open(batch, now()))
      batches.push(batch)
    }
    sent.push(...messages.map((message) => sentOf(message, now())))
    await tried(() => stores.queue.publishAll(topic, messages))
    if (batch !== '') await tried(() => stores.batches.seal(batch, total, now()))
  }

  const isFull = () => waiting().filter(({ side }) => side === undefined).length >= most

  async function feed(): Promise<void> {
    while (!over.aborted) {
      if (!isFull()) {
        const group = upcoming
        n += 1
        upcoming = makeGroup(n, random, now())
        await publish(group)
        latest = group
      }
      await delay(isFull() ? LOOK_EVERY_MS : pauseMs, undefined, { signal: over }).catch(() => undefined)
    }
  }

  const feeding = feed()
  feeding.catch(() => undefined)
  return {
    sent,
    batches,
    jobOf(which) {
      const { batch, messages } = which === 'latest' ? latest : upcoming
      return { id: messages[0]?.id ?? '', batch }
    },
    async stop() {
      stopping.abort()
      await feeding
    },
  }
}

function sentOf({ data, key, side }: MadeMessage, at: number): Sent {
  const named = { ...(key === undefined ? {} : { key }), ...(side === undefined ? {} : { side }) }
  return { sha256: Buffer.from(sha256(data)).toString('hex'), ...named, at }
}

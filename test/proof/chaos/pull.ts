import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import type { Deliver } from '../../../local/pubsub-push/deliver.ts'

export type Pulled = Omit<Parameters<Deliver>[0], 'attempt'>

export interface PullOptions {
  /** Where the emulator's subscription is: `http://HOST:PORT/v1/projects/p/subscriptions/s`. */
  readonly url: string
  /** How many messages are handled at once. */
  readonly most: number
  /** Raised, nothing more is pulled. */
  readonly signal: AbortSignal
}

export interface Pulling {
  underWay(): number
  /** Resolves when the signal was raised and nothing is handled any more. */
  readonly ended: Promise<void>
}

const pullAnswer = z.object({
  receivedMessages: z
    .array(
      z.object({
        ackId: z.string(),
        message: z.object({
          messageId: z.string(),
          publishTime: z.iso.datetime().transform((text) => Date.parse(text)),
          data: z.base64().default(''),
          attributes: z.record(z.string(), z.string()).default({}),
        }),
      }),
    )
    .default([]),
})

const LOOK_EVERY_MS = 50
const TIMEOUT_MS = 10_000

/**
 * Pulls messages from Google's emulator on and on, a call each time: the client's stream was measured to fall silent for good
 * after some minutes of refusals.
 *
 * `handle` resolves with whether a message is done with; otherwise it comes again.
 */
export function startPulling(options: PullOptions, handle: (message: Pulled) => Promise<boolean>): Pulling {
  const { url, most, signal } = options
  const underWay = new Set<Promise<void>>()

  async function take({ ackId, message }: Received): Promise<void> {
    const { messageId: id, publishTime: publishedAt, data, attributes } = message
    const isDone = await handle({ id, publishedAt, attributes, data: Buffer.from(data, 'base64') })
    const ackIds = [ackId]
    // An answer that does not get through lets the message come again.
    await (isDone
      ? post(`${url}:acknowledge`, { ackIds })
      : post(`${url}:modifyAckDeadline`, { ackIds, ackDeadlineSeconds: 0 })
    ).catch(() => undefined)
  }

  async function pullOnAndOn(): Promise<void> {
    while (!signal.aborted) {
      const maxMessages = most - underWay.size
      const body = { maxMessages, returnImmediately: true }
      const received = maxMessages > 0 ? await post(`${url}:pull`, body).then(readPulled, () => []) : []
      for (const one of received) {
        const taken = take(one).finally(() => underWay.delete(taken))
        underWay.add(taken)
      }
      if (received.length === 0) await delay(LOOK_EVERY_MS)
    }
    await Promise.all(underWay)
  }

  return { underWay: () => underWay.size, ended: pullOnAndOn() }
}

type Received = z.infer<typeof pullAnswer>['receivedMessages'][number]

function readPulled(answer: unknown): readonly Received[] {
  return pullAnswer.parse(answer).receivedMessages
}

async function post(url: string, body: unknown): Promise<unknown> {
  const headers = { 'content-type': 'application/json' }
  const request = { method: 'POST', headers, body: JSON.stringify(body), signal: AbortSignal.timeout(TIMEOUT_MS) }
  const response = await fetch(url, request)
  if (!response.ok) throw new Error(`the emulator answered ${response.status}`)
  return response.json()
}

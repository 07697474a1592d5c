import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { type PubSubPush, startPubSubPush } from '../../local/pubsub-push/pubsub-push.ts'
import type { SubscriptionOptions } from '../../local/pubsub-push/settings.ts'
import { createSigningKey } from '../../local/signing-key.ts'
import { openSqliteQueue } from '../../shared/queues/sqlite/sqlite-queue.ts'
import { type ArrivedPush, openEndpoint, type PushEndpoint } from '../contract/queue-endpoint.ts'
import { aTemporaryFile } from '../support/temporary-file.ts'

export const SUBSCRIPTION = 'projects/test/subscriptions/jobs'
export const TOPIC = 'jobs'
const LOOK_EVERY_MS = 5
/** Making one takes long enough to share it. */
const key = await createSigningKey()

/** A queue's file, gone after the test. */
export const newFile = (t: TestContext): Promise<string> => aTemporaryFile(t, 'state.db')

export async function newEndpoint(t: TestContext): Promise<PushEndpoint> {
  const endpoint = await openEndpoint()
  t.after(() => endpoint.close())
  return endpoint
}

export async function newQueue(t: TestContext, file: string) {
  const queue = await openSqliteQueue(file, Date.now)
  t.after(() => queue.close())
  const publish = (body: string, attributes: Readonly<Record<string, string>> = {}) =>
    queue.publish(TOPIC, { data: Buffer.from(body), attributes })
  return { ...queue, publish }
}

/** One subscription with backoffs of a few milliseconds. */
export async function startPush(
  t: TestContext,
  file: string,
  endpoint: string,
  more: Partial<SubscriptionOptions> = {},
): Promise<PubSubPush> {
  const quick = { retry: { minBackoffMs: 5, maxBackoffMs: 50 }, flow: { minBackoffMs: 1, maxBackoffMs: 1 } }
  const subscriptions = [{ name: SUBSCRIPTION, topic: TOPIC, endpoint, ...quick, ...more }]
  const push = await startPubSubPush({ file, subscriptions, pollMs: 2, key })
  t.after(() => push.close())
  return push
}

/** All a test of one subscription needs. */
export async function openAll(t: TestContext, more: Partial<SubscriptionOptions> = {}) {
  const file = await newFile(t)
  const queue = await newQueue(t, file)
  const endpoint = await newEndpoint(t)
  const push = await startPush(t, file, endpoint.url, more)
  /** Answers the pushes as they arrive, one with each status. */
  const answer = async (...statuses: readonly number[]) => {
    const arrived: ArrivedPush[] = []
    for (const status of statuses) {
      const next = await endpoint.next()
      next.answer(status)
      arrived.push(next)
    }
    return arrived
  }
  const fault = (body: unknown) => fetch(`${push.url}/__faults`, { method: 'POST', body: JSON.stringify(body) })
  return { file, queue, endpoint, push, fault, answer }
}

const statusSchema = z.array(
  z.looseObject({ waiting: z.number(), outstanding: z.number(), acked: z.number(), delivered: z.number() }),
)

/** Asks the stand-in until nothing is left, and returns the one subscription's last status. */
export async function drained({ url }: PubSubPush) {
  for (;;) {
    const [status] = statusSchema.parse(await (await fetch(`${url}/__subscriptions`)).json())
    assert.ok(status)
    if (status.waiting + status.outstanding === 0) return status
    await delay(LOOK_EVERY_MS)
  }
}

const callsSchema = z.array(
  z.object({ operation: z.string(), status: z.number().nullable(), detail: z.record(z.string(), z.unknown()) }),
)

export async function calls({ url }: PubSubPush) {
  return callsSchema.parse(await (await fetch(`${url}/__calls`)).json())
}

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import fc from 'fast-check'
import { DEFAULT_DEPLOYMENT, EMBEDDING_DEPLOYMENT } from '../../../local/azure-openai.ts'
import { createPubSub } from '../../../shared/queues/pubsub/pubsub-queue.ts'
import { isSecret } from '../../support/canary.ts'
import { serveWorker } from '../../support/served-worker.ts'
import { startCloud } from '../../support/stand-ins.ts'
import { DEAD_LETTERS, JOBS } from '../../support/worker.ts'
import { startWarmEmulator } from '../support/emulators.ts'
import type { Framed } from '../support/hostile/framings.ts'
import { anyPush, describePush, type HostilePush } from '../support/hostile/pushes.ts'
import { sendRaw } from '../support/hostile/send-raw.ts'

const AT_ONCE = 40
const BATCHES = 25
const EVENTS = 'events'
/** Room is released at once; Firestore and Pub/Sub are there, and a second try is for a slow machine. */
const MAX_DELIVERIES = { busy: 100, other: 2 }
const PAUSE_MS = 50

const { values } = parseArgs({ options: { seed: { type: 'string' } } })

const [firestore, pubsub] = await Promise.all([startWarmEmulator('firestore'), startWarmEmulator('pubsub')])
after(() => Promise.all([firestore.close(), pubsub.close()]))
const unlimited = { contextWindow: 1e9, tokensPerMinute: 1e15, requestsPerMinute: 1e9 }
const deployments = [DEFAULT_DEPLOYMENT, EMBEDDING_DEPLOYMENT].map((usual) => ({ ...usual, ...unlimited }))
const cloud = await startCloud({ azure: { deployments } })
after(() => cloud.close())

describe('hostile input over Firestore and Pub/Sub', () => {
  test(`${AT_ONCE * BATCHES} requests: no message is redelivered for ever, and no prompt is logged`, async () => {
    const project = `p-${randomUUID()}`
    const admin = createPubSub({ project, emulator: pubsub.address })
    for (const topic of [JOBS, DEAD_LETTERS, EVENTS]) await admin.createTopic(topic)
    await admin.close()
    const settings = { STORE: 'firestore', GOOGLE_CLOUD_PROJECT: project, EVENTS_TOPIC: EVENTS }
    await using worker = await serveWorker(cloud, {
      dependencies: { emulators: { firestore: firestore.address, pubsub: pubsub.address } },
      settings: { ...settings, ON_UNKNOWN: 'dead-letter', ACK_DEADLINE_SECONDS: '30', MODEL_TIMEOUT_SECONDS: '10' },
    })

    const deliver = async ({ bytes, isCut }: Framed) => {
      for (let deliveries = 1; ; deliveries += 1) {
        const answer = await sendRaw(worker.url, bytes, isCut)
        const most = answer.body.includes('busy') ? MAX_DELIVERIES.busy : MAX_DELIVERIES.other
        if (answer.status !== 503 || deliveries === most) return answer
        await delay(PAUSE_MS)
      }
    }
    const send = async ([path, push]: readonly [string, HostilePush]) => {
      const framed = push.framing.frame(path, [], push.envelope)
      const { status, body } = await deliver(framed)
      const isRight = status === 204 || (framed.fate !== 'read' && status < 500)
      assert.ok(isRight, `${path}; answered ${status} ${body}; ${describePush(push)}`)
    }
    const anyPath = fc.constantFrom('/push', '/dead-letter')
    const anyBatch = fc.array(fc.tuple(anyPath, anyPush), { minLength: AT_ONCE, maxLength: AT_ONCE })
    const property = fc.asyncProperty(anyBatch, async (batch) => void (await Promise.all(batch.map(send))))
    const options = { numRuns: BATCHES, endOnFailure: true, ...(values.seed && { seed: Number(values.seed) }) }
    const { failed, seed, errorInstance } = await fc.check(property, options)
    const again = `node test/proof/hostile/hostile-input-google.test.ts --seed=${seed}`
    if (failed) throw new Error(`again with: ${again}`, { cause: errorInstance })

    const lines = worker.logText().split('\n')
    assert.ok(lines.length > BATCHES)
    assert.deepEqual(
      lines.filter((line) => isSecret(line) || /"severity":"(ERROR|CRITICAL)"/.test(line)),
      [],
    )
  })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { grpc } from 'google-gax'
import { openPubSubDeliveries } from '../../shared/queues/pubsub/pubsub-deliveries.ts'

const bytes = { serialize: (data: Buffer) => data, deserialize: (data: Buffer) => data }
const method = {
  ...{ path: '/google.pubsub.v1.Publisher/ListTopicSubscriptions', requestStream: false, responseStream: false },
  ...{ requestSerialize: bytes.serialize, requestDeserialize: bytes.deserialize },
  ...{ responseSerialize: bytes.serialize, responseDeserialize: bytes.deserialize },
}

test('pause and resume of a login that may not say which rights they take, and which variable gives them', async (t) => {
  const server = new grpc.Server()
  server.addService(
    { list: method },
    {
      list: (_: unknown, answer: grpc.sendUnaryData<Buffer>) =>
        answer({ code: grpc.status.PERMISSION_DENIED, details: 'User not authorized to perform this action.' }),
    },
  )
  const port = await promisify(server.bindAsync.bind(server))('127.0.0.1:0', grpc.ServerCredentials.createInsecure())
  t.after(() => server.forceShutdown())
  const nothing = { find: async () => undefined, put: async () => undefined }
  const deliveries = openPubSubDeliveries({ project: 'p', emulator: `127.0.0.1:${port}` }, nothing)
  t.after(() => deliveries.close())
  for (const handle of [deliveries.pause, deliveries.resume]) {
    const message =
      /^this login may not pause and resume: .*subscriptions\.update.*serviceAccountUser.*pause_operators$/
    await assert.rejects(handle('jobs', undefined), { code: 'unavailable', message })
  }
})

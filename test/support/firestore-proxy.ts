import { promisify } from 'node:util'
import { grpc } from 'google-gax'

/** How Firestore refuses a call. */
interface Refusal {
  readonly code: grpc.status
  readonly details: string
}

export interface FirestoreProxy extends AsyncDisposable {
  /** HOST:PORT */
  readonly address: string
}

/** As Firestore itself words it: the emulator needs no index and never says so. */
export const NO_INDEX: Refusal = {
  code: grpc.status.FAILED_PRECONDITION,
  details:
    'The query requires an index. You can create it here: https://console.firebase.google.com/v1/r/project/p/firestore/indexes?create_composite=Cg',
}

export const DATASTORE_MODE: Refusal = {
  code: grpc.status.FAILED_PRECONDITION,
  details:
    'The Cloud Firestore API is not available for Firestore in Datastore Mode database projects/p/databases/(default).',
}

const PATH = '/google.firestore.v1.Firestore'
const STREAMED = ['BatchGetDocuments', 'RunQuery', 'RunAggregationQuery'] as const
const bytes = { serialize: (data: Buffer) => data, deserialize: (data: Buffer) => data }

export const DENIED: Refusal = { code: grpc.status.PERMISSION_DENIED, details: 'Missing or insufficient permissions.' }

export const NO_DATABASE: Refusal = {
  code: grpc.status.NOT_FOUND,
  details: 'The database (default) does not exist for project p',
}

/**
 * Stands before a Firestore at HOST:PORT, and passes calls on as they are unless `judge` refuses them. It sees a call's name,
 * its bytes, in which names of fields can be read, and its headers.
 */
export async function openFirestoreProxy(
  target: string,
  judge: (method: string, request: Buffer, headers: grpc.Metadata) => Refusal | undefined,
): Promise<FirestoreProxy> {
  const upstream = new grpc.Client(target, grpc.credentials.createInsecure())
  const server = new grpc.Server({ 'grpc.max_receive_message_length': -1 })
  const { serialize, deserialize } = bytes

  const stream = (method: string) => (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
    const refusal = judge(method, call.request, call.metadata)
    if (refusal !== undefined) return call.emit('error', refusal)
    const answers = upstream.makeServerStreamRequest(
      `${PATH}/${method}`,
      serialize,
      deserialize,
      call.request,
      call.metadata,
    )
    answers.on('data', (data: Buffer) => call.write(data))
    answers.on('end', () => call.end())
    answers.on('error', (error) => call.emit('error', error))
    return call.on('cancelled', () => answers.cancel())
  }
  const write = (call: grpc.ServerUnaryCall<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) => {
    const refusal = judge('BatchWrite', call.request, call.metadata)
    if (refusal !== undefined) return answer(refusal)
    const { request, metadata } = call
    return upstream.makeUnaryRequest(`${PATH}/BatchWrite`, serialize, deserialize, request, metadata, answer)
  }

  const streamed = STREAMED.map((method) => [method, definition(method, true)] as const)
  server.addService(Object.fromEntries([...streamed, ['BatchWrite', definition('BatchWrite', false)]]), {
    ...Object.fromEntries(STREAMED.map((method) => [method, stream(method)])),
    BatchWrite: write,
  })
  const bind = promisify(server.bindAsync.bind(server))
  const port = await bind('127.0.0.1:0', grpc.ServerCredentials.createInsecure())
  return {
    address: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.forceShutdown()
      upstream.close()
    },
  }
}

function definition(method: string, responseStream: boolean) {
  return {
    ...{ path: `${PATH}/${method}`, requestStream: false, responseStream },
    ...{ requestSerialize: bytes.serialize, requestDeserialize: bytes.deserialize },
    ...{ responseSerialize: bytes.serialize, responseDeserialize: bytes.deserialize },
  }
}

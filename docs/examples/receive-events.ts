// Takes Promptbridge's events from a push subscription and prints each one once.
//
//   node receive-events.ts 8081
//
// Runs anywhere that Pub/Sub can push to. Cloud Run checks who pushes, where it allows no unauthenticated calls.
import { createServer } from 'node:http'
import { json } from 'node:stream/consumers'

/** A Pub/Sub push, wrapped: https://cloud.google.com/pubsub/docs/push#receive_push */
interface Push {
  readonly message: { readonly attributes: Readonly<Record<string, string>>; readonly data: string }
}

const [port = '8081'] = process.argv.slice(2)
/** In earnest a table with a unique key: an event can come twice, a day apart and to another instance. */
const seen = new Set<string>()

const server = createServer(async (request, response) => {
  try {
    const { message } = (await json(request)) as Push
    const event = message.attributes
    const data = JSON.parse(Buffer.from(message.data, 'base64').toString())
    const name = `${event['ce-source']} ${event['ce-id']}`
    const said = JSON.stringify(data.text ?? data.error?.message ?? data.recordPath)
    if (!seen.has(name)) console.log(event['ce-type'], data.id, said)
    seen.add(name)
    response.writeHead(204).end()
  } catch {
    response.writeHead(400).end()
  }
})
server.listen(Number(port), () => console.log(`listening on port ${port}`))
process.once('SIGTERM', () => server.close())

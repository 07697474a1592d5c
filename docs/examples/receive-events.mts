// Takes Promptbridge's events from a push subscription and prints each one once.
//
//   node receive-events.mts 8081
//
// Runs anywhere that Pub/Sub can push to. Cloud Run checks who pushes, where it allows no unauthenticated calls.
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { type PromptbridgeEvent, parseEvent } from 'promptbridge'

const [port = '8081'] = process.argv.slice(2)
/** In earnest a table with a unique key: an event can come twice, a day apart and to another instance. */
const seen = new Set<string>()

function describe(event: PromptbridgeEvent): string {
  if (event.kind === 'batch') return `${event.batch} ${event.total} jobs ${JSON.stringify(event.counts)}`
  const said = event.status === 'succeeded' ? (event.text ?? event.recordPath) : event.error.message
  return `${event.id} ${JSON.stringify(said)}`
}

const server = createServer(async (request, response) => {
  try {
    const event = parseEvent(await text(request), request.headers)
    if (!seen.has(event.key)) console.log(event.type, describe(event))
    seen.add(event.key)
    response.writeHead(204).end()
  } catch {
    response.writeHead(400).end()
  }
})
server.listen(Number(port), () => console.log(`listening on port ${port}`))
process.once('SIGTERM', () => server.close())

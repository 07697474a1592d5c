// Publishes two jobs and prints the keys of their records.
//
//   node publish-jobs.ts my-project            Pub/Sub and Firestore of a Google Cloud project
//   node publish-jobs.ts sqlite:state.db       one file on this machine
import { createPublisher, type Place } from 'promptbridge'

const [name = 'sqlite:state.db'] = process.argv.slice(2)
const place: Place = name.startsWith('sqlite:') ? { store: `sqlite:${name.slice(7)}` } : { project: name }

await using publisher = await createPublisher({ ...place, topic: 'promptbridge-jobs' })

const keys = await publisher.submitAll([
  { id: 'bridge', batch: 'examples', prompt: 'Summarise: Bridges carry people over water, in all weathers.' },
  {
    custom_id: 'tunnel',
    batch: 'examples',
    url: '/v1/chat/completions',
    body: { messages: [{ role: 'user', content: 'Summarise: Tunnels carry people under water.' }] },
  },
])
for (const key of keys) console.log(key)

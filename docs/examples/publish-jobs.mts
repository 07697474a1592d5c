// Publishes two jobs as a batch and prints the keys of their records.
//
//   node publish-jobs.mts my-project            Pub/Sub and Firestore of a Google Cloud project
//   node publish-jobs.mts sqlite:state.db       one file on this machine
import { createPublisher, type Place } from 'promptbridge'

const [name = 'sqlite:state.db'] = process.argv.slice(2)
const place: Place = name.startsWith('sqlite:') ? { store: `sqlite:${name.slice(7)}` } : { project: name }

await using publisher = await createPublisher({ ...place, topic: 'promptbridge-jobs' })

const jobs = [
  { id: 'bridge', prompt: 'Summarise: Bridges carry people over water, in all weathers.' },
  {
    custom_id: 'tunnel',
    url: '/v1/chat/completions' as const,
    body: { messages: [{ role: 'user', content: 'Summarise: Tunnels carry people under water.' }] },
  },
]
const keys = await publisher.submitAll(jobs, { batch: 'examples', resubmit: true })
for (const key of keys) console.log(key)

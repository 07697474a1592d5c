// Prints what became of each job that publish-jobs.mts published; it takes the same argument.
import { createResultReader, type Place } from 'promptbridge'

const [name = 'sqlite:state.db'] = process.argv.slice(2)
const place: Place = name.startsWith('sqlite:') ? { store: `sqlite:${name.slice(7)}` } : { project: name }

await using results = await createResultReader(place)

for await (const result of results.list('examples')) {
  if (result.status === 'succeeded') console.log(result.id, result.usage.completionTokens, JSON.stringify(result.text))
  else console.log(result.id, result.status, 'error' in result ? result.error.message : '')
}

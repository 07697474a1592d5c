import { askOpenAI } from './ask-openai.ts'
import { listenExpress } from './listen-express.ts'

/**
 * The worker that one would write in an afternoon: it asks, and it acknowledges.
 *
 * It checks no caller, keeps no record, knows no duplicate and throws the answer away.
 */
listenExpress(async (job) => {
  const { choices } = await askOpenAI(job)
  if (choices.length === 0) throw new Error('the model answered nothing')
})

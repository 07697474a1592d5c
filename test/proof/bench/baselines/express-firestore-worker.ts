import firestore from '@google-cloud/firestore'
import { askOpenAI } from './ask-openai.ts'
import { listenExpress } from './listen-express.ts'

/**
 * The same with a record: `create` before the ask, `update` after it.
 *
 * It still checks no caller, and an instance that dies in between leaves a job that no other instance resumes.
 */
const jobs = new firestore.Firestore().collection('expressJobs')

listenExpress(async (job) => {
  const record = jobs.doc(job.id)
  const { writeTime } = await record.create({ id: job.id, status: 'running', createdAt: new Date() })
  const { choices, usage } = await askOpenAI(job)
  const [choice] = choices
  if (choice === undefined || usage === undefined) throw new Error('the model answered nothing')
  const { prompt_tokens, completion_tokens } = usage
  await record.update(
    { status: 'succeeded', result: choice.message.content, prompt_tokens, completion_tokens, settledAt: new Date() },
    { lastUpdateTime: writeTime },
  )
})

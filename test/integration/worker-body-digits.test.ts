import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { startRecordingModel } from '../support/recording-model.ts'
import { startCloud } from '../support/stand-ins.ts'
import { startWorker } from '../support/worker.ts'

const cloud = await startCloud()
after(() => cloud.close())

const deployment = cloud.env['AZURE_OPENAI_DEPLOYMENT']
const jobText = (body: string) => `{"id":"doc-7","url":"/v1/chat/completions","body":${body}}`

test('the numbers of a body reach Azure digit for digit', async () => {
  await using model = await startRecordingModel('{}')
  await using worker = await startWorker(cloud, { settings: { AZURE_OPENAI_ENDPOINT: model.url } })
  const schema = '{"type":"integer","maximum":9223372036854775807,"multipleOf":0.1000}'
  const members = `"seed":6150769120280496265,"tools":[{"function":{"parameters":${schema}}}],"logit_bias":{"7":[1e400,-0,1E5]}`
  await worker.push(jobText(`{${members}}`))
  assert.deepEqual(
    model.requests.map(({ body }) => body),
    [`{${members},"model":"${deployment}"}`],
  )
})

describe('a cap on the answer that is over the limit is invalid before it costs anything, however it is spelled', () => {
  for (const cap of ['101', '1.01e2', '99999999999999999999', '1e400']) {
    test(cap, async () => {
      await using worker = await startWorker(cloud, { settings: { MAX_OUTPUT_TOKENS: '100' } })
      await worker.push(jobText(`{"messages":[],"max_tokens":${cap}}`))
      assert.equal((await worker.deadLetters())[0]?.attributes['pb-reason'], 'invalid')
      assert.deepEqual(await worker.modelCalls(), [])
    })
  }
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { renderJob } from '../../shared/client/render-job.ts'
import type { JobInput } from '../../shared/client/types.ts'
import { parseJob } from '../../shared/job/parse-job.ts'
import { sha256 } from '../../shared/lib/sha256.ts'

test('client: a job with a template is a request, and keeps its id, its batch and its metadata', () => {
  const own = { id: 'a', batch: 'b', metadata: { order: '7' } }
  const job = renderJob({ ...own, template: { text: 'Say {{what}}.' }, variables: { what: 'hi {{x}}' }, model: 'm' })
  const messages = [{ role: 'user', content: 'Say hi {{x}}.' }]
  assert.deepEqual(job, { ...own, url: '/v1/chat/completions', body: { model: 'm', messages } })
})

test('client: a template of the product makes a job that the worker accepts', () => {
  const job = renderJob({ template: 'summarize', variables: { name: 'n', text: 'Bridges.' } })
  assert.ok(parseJob(Buffer.from(JSON.stringify(job)), {}, sha256).ok)
})

test('client: a template without a value, an unknown one and a wrong one are refused with the reason', () => {
  const untyped = (json: string): JobInput => JSON.parse(json)
  const cases = [
    ['{"template":"summarize","variables":{"name":"n"}}', /needs \{\{text\}\}/],
    ['{"template":"sumarize"}', /no template has this name; there are summarize and extract/],
    ['{"template":"summarize","variables":{"text":7}}', /variables: text is not a text/],
    ['{"template":{"text":""}}', /the template cannot be used/],
  ] as const
  for (const [json, problem] of cases) {
    assert.throws(() => renderJob(untyped(json)), { code: 'refused', message: problem }, json)
  }
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readSpillover } from '../../shared/models/azure-openai/read-spillover.ts'

const read = (headers: Record<string, string>, deployment = 'gpt-ptu') =>
  readSpillover(new Headers(headers), deployment)

test('spillover: an answer of the deployment itself is none, although Azure names it', () => {
  assert.equal(read({}), undefined)
  assert.equal(read({ 'x-ms-deployment-name': 'gpt-ptu' }), undefined)
})

test('spillover: the name of the deployment that answered is read, with either name of the header', () => {
  const answered = { 'x-ms-deployment-name': 'gpt-standard' }
  assert.equal(read({ ...answered, 'x-ms-spillover-from-deployment': 'gpt-ptu' }), 'gpt-standard')
  assert.equal(read({ ...answered, 'x-ms-spillover-from-gpt-ptu': 'true' }), 'gpt-standard')
  assert.equal(read({ ...answered, 'x-ms-spillover-from-gpt-ptu': 'true' }, 'GPT-PTU'), 'gpt-standard')
})

test('spillover: a name that is missing or not one of a deployment is unknown', () => {
  const spilled = { 'x-ms-spillover-from-deployment': 'gpt-ptu' }
  for (const name of ['', 'a b', 'x'.repeat(101)]) {
    assert.equal(read({ ...spilled, 'x-ms-deployment-name': name }), 'unknown')
  }
  assert.equal(read(spilled), 'unknown')
})

test('spillover: a deployment whose name no header can have is read by the other header alone', () => {
  assert.equal(read({ 'x-ms-spillover-from-deployment': 'gpt ptu' }, 'gpt ptu'), 'unknown')
})

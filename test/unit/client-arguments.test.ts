import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClient, createPublisher, createResultReader, type Place } from '../../shared/client/index.ts'
import { aTemporaryFile } from '../support/temporary-file.ts'

/** Values that the types refuse, as they come from JavaScript. */
const untyped = (json: string): Place => JSON.parse(json)

test('client: a place that is missing a part, or has a wrong one, is a TypeError that names it', async () => {
  const cases = [
    ['{}', 'project is missing'],
    ['{"projct":"p"}', /^createPublisher: project is missing; the argument has no field "projct"$/],
    ['{"project":""}', 'project is empty'],
    ['{"project":7}', /^createPublisher: project must be string/],
    ['{"project":"p","database":"No!"}', /^createPublisher: database must be \(default\), or 4 to 63/],
    ['{"store":"state.db"}', 'store must be sqlite:PATH'],
    ['{"store":"sqlite:a","project":"p"}', 'the argument has no field "project"'],
    ['null', /^createPublisher: the argument must be object/],
  ] as const
  for (const [place, wanted] of cases) {
    const message = typeof wanted === 'string' ? `createPublisher: ${wanted}` : wanted
    await assert.rejects(createPublisher(untyped(place)), { name: 'TypeError', message }, place)
  }
  for (const [create, name] of [
    [createClient, 'createClient'],
    [createResultReader, 'createResultReader'],
  ] as const) {
    await assert.rejects(create(untyped('{}')), { name: 'TypeError', message: `${name}: project is missing` })
  }
})

test('client: wrong arguments of its methods are TypeErrors that name them, and nothing is opened', async (t) => {
  await using client = await createClient({ store: `sqlite:${await aTemporaryFile(t)}` })
  const jobs = [{ prompt: 'x' }]
  const read = JSON.parse
  const cases = [
    [client.submitAll(read('{}')), 'submitAll: jobs is not an array'],
    [client.submitAll(jobs, read('{"batsh":"a"}')), 'submitAll: the argument has no field "batsh"'],
    [client.submitAll(jobs, { tokenLimit: 5 }), 'submitAll: tokenLimit and resubmit need batch'],
    [client.submit(read('[]')[0]), 'submit: the job is missing'],
    [client.read(''), 'read: key is empty'],
    [client.find(read('null')), /^find: id must be string/],
    [client.batch('b').wait(read('{"timeoutMs":-1}')), /^wait: timeoutMs /],
  ] as const
  for (const [call, message] of cases) await assert.rejects(call, { name: 'TypeError', message })
  assert.throws(() => client.batch(''), { name: 'TypeError', message: 'batch: name is empty' })
})

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { Impersonated } from 'google-auth-library'
import { credentialsByCall, findCredentials } from '../../shared/lib/google-credentials.ts'
import { QueueError } from '../../shared/queues/job-queue.ts'
import { openPubSubQueue } from '../../shared/queues/pubsub/pubsub-queue.ts'
import { openDatabase } from '../../shared/stores/firestore/database.ts'
import { isStoreError } from '../contract/job-store-support.ts'
import { runHosted } from '../support/run-hosted.ts'
import { placeFault, startCloud } from '../support/stand-ins.ts'
import { newFolder } from './cli-harness.ts'

const to = { project: 'a-project', emulator: undefined }

describe('without Google credentials', () => {
  const { HOME, GCE_METADATA_HOST } = process.env
  after(() => Object.assign(process.env, { HOME, ...(GCE_METADATA_HOST && { GCE_METADATA_HOST }) }))

  test('a call to Firestore and a publish to Pub/Sub fail, and the process lives', async (t) => {
    Object.assign(process.env, { HOME: await newFolder(t), GCE_METADATA_HOST: '127.0.0.1:9' })
    const database = openDatabase(to)
    const queue = openPubSubQueue(to)
    const message = { data: Buffer.from('x'), attributes: {} }
    await Promise.all([
      assert.rejects(database.get(`${database.root}/promptJobs/a`), isStoreError('unavailable')),
      assert.rejects(queue.publish('a-topic', message), QueueError),
    ])
    await Promise.all([database.close(), queue.close()])
  })
})

test('credentials that could not be had for one call are had for the next', async () => {
  await using cloud = await startCloud()
  // As on Cloud Run: there is a metadata server, and no need to look for one.
  process.env['K_SERVICE'] = 'worker'
  await placeFault(cloud.metadata, { kind: 'status', status: 404, match: '/token', times: 1 })
  const client = await credentialsByCall('a-project').getClient()
  await assert.rejects(client.getRequestHeaders())
  assert.match((await client.getRequestHeaders()).get('authorization') ?? '', /^Bearer /)
  delete process.env['K_SERVICE']
})

test('a login that impersonates a service account is that account, as the doctor needs to run as one of its own', async (t) => {
  const file = join(await newFolder(t), 'application_default_credentials.json')
  const doctor = 'promptbridge-doctor@a-project.iam.gserviceaccount.com'
  // As gcloud auth application-default login --impersonate-service-account writes it.
  const login = {
    type: 'impersonated_service_account',
    delegates: [],
    service_account_impersonation_url: `https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/${doctor}:generateAccessToken`,
    source_credentials: { type: 'authorized_user', client_id: 'c', client_secret: 's', refresh_token: 'r' },
  }
  await writeFile(file, JSON.stringify(login))
  process.env['GOOGLE_APPLICATION_CREDENTIALS'] = file
  t.after(() => delete process.env['GOOGLE_APPLICATION_CREDENTIALS'])
  const client = await findCredentials()
  assert.ok(client instanceof Impersonated)
  assert.equal(client.getTargetPrincipal(), doctor)
})

describe('a command without Google credentials', () => {
  for (const args of [
    ['show', 'doc-7'],
    ['results', 'nightly'],
    ['token', 'failures'],
  ]) {
    test(`${args.join(' ')} says how to log in, in one line`, async (t) => {
      const home = await newFolder(t)
      const env = { HOME: home, GCE_METADATA_HOST: '127.0.0.1:9' }
      const { code, stdout, stderr } = await runHosted([...args, '--project', 'a-project'], { env })
      assert.deepEqual([code, stdout], [1, ''])
      assert.equal(stderr, 'promptbridge: There is no Google login here. Run gcloud auth application-default login.\n')
    })
  }
})

import { chownSync } from 'node:fs'
import { join } from 'node:path'
import { jobKey } from '../../../shared/job/job.ts'
import { createJobReader } from '../../../shared/stores/job-reader.ts'
import { openStores } from '../../../shared/stores/open.ts'
import { sha256 } from '../../support/job-builders.ts'
import { startCloud } from '../../support/stand-ins.ts'
import { postTo, wrap } from '../../support/worker.ts'
import { startWarmEmulator } from '../support/emulators.ts'
import { measureBoot } from './check-boot.ts'
import type { Image } from './perform-stages.ts'
import { runWorker, stopWorker } from './run-worker.ts'

const PROJECT = 'emulated'
const DEAD_LETTERS = 'dead-letters'

/**
 * Has a job settled in Firestore and a message dead-lettered in Pub/Sub, both Google's own emulators: their clients
 * load descriptions of their services, which have to be in the bundle.
 */
export async function checkOnGoogle(image: Image, state: string): Promise<string> {
  await using started = new AsyncDisposableStack()
  const firestore = started.adopt(await startWarmEmulator('firestore'), (emulator) => emulator.close())
  const pubsub = started.adopt(await startWarmEmulator('pubsub'), (emulator) => emulator.close())
  await fetch(`http://${pubsub.address}/v1/projects/${PROJECT}/topics/${DEAD_LETTERS}`, { method: 'PUT' })
  const caPath = join(state, 'ca.pem')
  await using cloud = await startCloud({ entra: { caPath } })
  // The stand-in wrote it as root, for itself alone.
  chownSync(caPath, image.uid, image.gid)
  const emulators = { FIRESTORE_EMULATOR_HOST: firestore.address, PUBSUB_EMULATOR_HOST: pubsub.address }
  const settings = {
    HOST: '127.0.0.1',
    PORT: '0',
    PUSH_AUTH: 'off',
    STORE: 'firestore',
    DEAD_LETTER_TOPIC: DEAD_LETTERS,
  }
  const trust = { NODE_EXTRA_CA_CERTS: '/state/ca.pem', GOOGLE_CLOUD_PROJECT: PROJECT }
  const env = { ...cloud.env, ...emulators, ...settings, ...trust }
  await using worker = runWorker(image, state, env)
  const url = await worker.url()

  const job = { id: 'image', prompt: 'Bridges carry people over water, in all weathers.' }
  const answers = [await postTo(url, JSON.stringify(wrap(job))), await postTo(url, JSON.stringify(wrap('no job')))]
  const statuses = answers.map(({ status }) => status).join(', ')
  if (statuses !== '204, 204') throw new Error(`the pushes were answered with ${statuses}: ${JSON.stringify(answers)}`)
  const dependencies = { now: Date.now, emulators: { firestore: firestore.address, pubsub: pubsub.address } }
  const stores = started.adopt(await openStores({ kind: 'firestore', project: PROJECT }, dependencies), (own) =>
    own.close(),
  )
  const record = await createJobReader(stores.documents).read(jobKey('', 'image', sha256))
  if (record?.status !== 'succeeded') throw new Error(`the record in Firestore is ${record?.status}, not succeeded`)
  await stopWorker(worker)
  const boot = await measureBoot(image, state, env)
  return `on Google's emulators: a record in Firestore, a dead letter in Pub/Sub; ${boot}`
}

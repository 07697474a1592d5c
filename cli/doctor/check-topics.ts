import type { PubSub } from '@google-cloud/pubsub'
import { quote } from '../../shared/lib/quote.ts'
import { type Grant, publishGrant } from './check-grants.ts'
import { type Asker, fixStatus, sayStatus, statusOf } from './google-answers.ts'
import type { Finding } from './step.ts'

/** The client would try for a minute by itself. */
const ONCE = { timeout: 5_000, retry: null }

const PUBLISH = 'pubsub.topics.publish'

/**
 * Asks whether this login may publish to a topic; undefined when that is unknown. Rejects with gRPC's error when it does not exist.
 *
 * Anybody may ask which permissions they have. To look at the topic itself takes a role that the worker does not need;
 * only the emulator, which knows no permissions, is asked so.
 */
export async function askMayPublish(client: PubSub, name: string, isEmulator: boolean): Promise<boolean | undefined> {
  const topic = client.topic(name)
  if (isEmulator) {
    await topic.getMetadata(ONCE)
    return undefined
  }
  const [allowed] = await topic.iam.testPermissions([PUBLISH], ONCE)
  return allowed[PUBLISH] === true
}

/**
 * Judges a topic by the answer to whether it may be published to; nothing is published.
 *
 * A login that is not the worker's need not have that right: then `look` looks for the worker's own grant.
 */
export async function checkTopic(
  name: string,
  askMay: () => Promise<boolean | undefined>,
  asker: Asker,
  look: (grant: Grant) => Promise<Finding>,
): Promise<Finding> {
  try {
    const mayPublish = await askMay()
    if (mayPublish === false && !asker.isWorker && asker.account !== undefined)
      return await look(publishGrant(asker.project, name, asker.account))
    if (mayPublish === false) return failed('it is there, and may not be published to', grantLine(name, asker))
    const seen = mayPublish ? 'and may be published to' : 'the emulator knows no permissions'
    return { ok: true, seen: `it is there, ${seen}`, value: undefined }
  } catch (error) {
    const status = statusOf(error)
    const notFound = `gcloud pubsub topics create ${quote(name)} --project=${quote(asker.project)}`
    const fixes = { role: 'roles/pubsub.publisher', notFound }
    return failed(sayStatus(status), fixStatus(status, 'pubsub.googleapis.com', asker, fixes))
  }
}

function failed(seen: string, fix: string): Finding {
  return { ok: false, seen, expected: 'a topic that the worker may publish to', fix }
}

function grantLine(topic: string, { project, account = 'EMAIL', isWorker }: Asker): string {
  const member = quote(`serviceAccount:${account}`)
  const line = `gcloud pubsub topics add-iam-policy-binding ${quote(topic)} --project=${quote(project)} --member=${member} --role=roles/pubsub.publisher`
  return isWorker ? line : `This was asked with your own login, which is not the worker's. The worker needs: ${line}`
}

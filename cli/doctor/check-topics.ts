import type { PubSub } from '@google-cloud/pubsub'
import { statusOf } from '../../shared/lib/grpc-status.ts'
import { quote } from '../../shared/lib/quote.ts'
import { type Grant, publishGrant } from './check-grants.ts'
import { type Asker, describeStatus, fixStatus } from './google-answers.ts'
import type { Finding } from './step.ts'

/** By default the client retries for a minute. */
const ONCE = { timeout: 5_000, retry: null }

const PUBLISH = 'pubsub.topics.publish'

/**
 * Checks whether this login may publish to a topic; undefined when that is unknown. Rejects with gRPC's error when the
 * topic does not exist.
 *
 * Every account may test its own permissions. Reading the topic itself needs a role that the worker does not need, so only
 * the emulator, which has no permissions, is asked for the topic.
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
 * Checks that a topic exists and that the worker may publish to it, without publishing.
 *
 * A login that is not the worker's may lack that permission. Then `look` finds the worker's own grant.
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
    if (mayPublish === false) return failed('it exists, but publishing to it is not allowed', grantLine(name, asker))
    const seen = mayPublish ? 'and publishing to it is allowed' : 'the emulator has no permissions'
    return { ok: true, seen: `it exists, ${seen}`, value: undefined }
  } catch (error) {
    const status = statusOf(error)
    const notFound = `gcloud pubsub topics create ${quote(name)} --project=${quote(asker.project)}`
    const fixes = { role: 'roles/pubsub.publisher', notFound }
    return failed(describeStatus(status), fixStatus(status, 'pubsub.googleapis.com', asker, fixes))
  }
}

function failed(seen: string, fix: string): Finding {
  return { ok: false, seen, expected: 'a topic that the worker may publish to', fix }
}

function grantLine(topic: string, { project, account = 'EMAIL', isWorker }: Asker): string {
  const member = quote(`serviceAccount:${account}`)
  const line = `gcloud pubsub topics add-iam-policy-binding ${quote(topic)} --project=${quote(project)} --member=${member} --role=roles/pubsub.publisher`
  return isWorker ? line : `This check used your own login, not the worker's. The worker needs: ${line}`
}

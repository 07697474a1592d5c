import type { PubSub } from '@google-cloud/pubsub'
import { type Asker, mendStatus, sayStatus, statusOf } from './google-answers.ts'
import { quote } from './quote.ts'
import type { Finding } from './step.ts'

/** The client would try for a minute by itself. */
export const ONCE = { timeout: 5_000, retry: null }

const PUBLISH = 'pubsub.topics.publish'

/** Looks whether a topic is there and may be published to, and publishes nothing. */
export async function checkTopic(client: PubSub, name: string, asker: Asker, isEmulator: boolean): Promise<Finding> {
  const project = quote(asker.project)
  const expected = 'a topic that the worker may publish to'
  const topic = client.topic(name)
  const mends = {
    role: 'roles/pubsub.viewer',
    notFound: `gcloud pubsub topics create ${quote(name)} --project=${project}`,
  }
  try {
    await topic.getMetadata(ONCE)
  } catch (error) {
    const status = statusOf(error)
    const mend = mendStatus(status, 'pubsub.googleapis.com', asker, mends)
    return { ok: false, seen: sayStatus(status), expected, mend }
  }
  if (isEmulator) {
    return { ok: true, seen: 'it is there (the emulator knows no permissions)', value: undefined }
  }
  const [allowed] = await topic.iam.testPermissions([PUBLISH], ONCE)
  if (allowed[PUBLISH] === true) return { ok: true, seen: 'it is there, and may be published to', value: undefined }
  const member = `serviceAccount:${asker.account ?? 'EMAIL'}`
  const grant = `gcloud pubsub topics add-iam-policy-binding ${quote(name)} --project=${project} --member=${quote(member)} --role=roles/pubsub.publisher`
  return {
    ok: false,
    seen: 'it is there, and may not be published to',
    expected,
    mend: asker.isWorker ? grant : `This was asked with your own login. The worker needs: ${grant}`,
  }
}

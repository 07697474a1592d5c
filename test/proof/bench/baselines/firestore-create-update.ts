import firestore from '@google-cloud/firestore'
import { serveRounds } from '../firestore/rounds.ts'
import { PROJECT } from '../firestore/the-job.ts'
import { claimed, settled } from './firestore-job.ts'

/** What most would write: `create` lets one delivery through, and `update` is fenced by the time of that write. */
const jobs = new firestore.Firestore({ projectId: PROJECT }).collection('created')

serveRounds({
  async plain(id) {
    const job = jobs.doc(id)
    const { writeTime } = await job.create(claimed(id, crypto.randomUUID()))
    await job.update(settled(), { lastUpdateTime: writeTime })
  },
})

import firestore from '@google-cloud/firestore'
import { serveRounds } from '../firestore/rounds.ts'
import { PROJECT } from '../firestore/the-job.ts'
import { claimed, settled } from './firestore-job.ts'

/** What the documentation leads to: each step reads, decides and writes in a transaction. */
const db = new firestore.Firestore({ projectId: PROJECT })
const jobs = db.collection('transacted')

serveRounds({
  async plain(id) {
    const job = jobs.doc(id)
    const owner = crypto.randomUUID()
    await db.runTransaction(async (transaction) => {
      const found = await transaction.get(job)
      if (found.exists) throw new Error('the job is claimed')
      transaction.create(job, claimed(id, owner))
    })
    await db.runTransaction(async (transaction) => {
      const found = await transaction.get(job)
      if (found.get('owner') !== owner) throw new Error('the job is not ours')
      transaction.update(job, settled())
    })
  },
})

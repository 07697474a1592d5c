import { openDatabase } from '../../../../shared/stores/firestore/database.ts'
import { createFirestoreDocuments } from '../../../../shared/stores/firestore/firestore-documents.ts'
import { createJobStore } from '../../../../shared/stores/job-store/create-job-store.ts'
import { aClaim, aJob, anAnswer, DAY_MS, START } from '../../../support/job-builders.ts'
import { firestoreAddress, serveRounds } from './rounds.ts'
import { ANSWER, PROJECT } from './the-job.ts'

const database = openDatabase({ project: PROJECT, emulator: firestoreAddress() })
const store = createJobStore(createFirestoreDocuments(database), 30 * DAY_MS)

const claimOf = (id: string) => store.claim(aClaim({ job: aJob({ id }), owner: crypto.randomUUID() }))

serveRounds({
  async plain(id) {
    const claim = await claimOf(id)
    if (claim.kind !== 'run') throw new Error(`the claim is ${claim.kind}`)
    const settled = await store.settle(claim.held, anAnswer({ result: ANSWER }), START)
    if (settled.kind !== 'settled') throw new Error(`the settle is ${settled.kind}`)
  },
  async duplicate(id) {
    const claim = await claimOf(id)
    if (claim.kind !== 'settled') throw new Error(`the duplicate's claim is ${claim.kind}`)
  },
})

import { editRecord, isReadable } from './edit-record.ts'
import { count } from './exercised.ts'
import { markEdited } from './records.ts'
import type { Installation } from './sim-worker.ts'

const MINUTE_MS = 60_000

/** Plans the edits that a person makes to the records of one history. */
export function planEdits({ world, firestore, monitor, exercised }: Installation): void {
  const { random } = world
  if (!random.chance(0.2)) return
  for (let left = random.whole(1, 3); left > 0; left -= 1) {
    world.after(random.whole(0, 15 * MINUTE_MS), undefined, editOne)
  }

  function editOne(): void {
    const records = firestore.documents('promptJobs')
    if (records.length === 0) return
    const record = random.pick(records)
    const edit = editRecord(random, record.fields)
    if (edit === undefined) return
    world.note('editor', `${edit.what} in ${record.name.slice(firestore.root.length + 1)}`)
    count(exercised, isReadable(edit.fields) ? 'edited record' : 'record made unreadable')
    const edited = firestore.edit(record, edit.fields)
    markEdited(edited)
    monitor.edited(edited)
  }
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeSweep } from '../../cli/doctor/check-sweep.ts'
import { START } from '../support/job-builders.ts'

const MINUTE_MS = 60_000
const NIGHTLY = { name: 'nightly', createdAt: START }

for (const [what, batch, minutes, ok, seen] of [
  [
    'new and not counted: not known yet',
    {},
    4,
    null,
    'not known yet: batch nightly was submitted 4 min ago, and has not been counted',
  ],
  ['not counted in 5 minutes: nothing sweeps', {}, 5, false, 'batch nightly was never counted'],
  ['counted 4 minutes ago: it runs', { sweptAt: START }, 4, true, 'batch nightly was counted 4 min ago'],
  ['counted 5 minutes ago: nothing sweeps', { sweptAt: START }, 5, false, 'batch nightly was last counted 5 min ago'],
  ['tried a minute ago: it runs', { deferredAt: START }, 1, true, 'batch nightly could not be counted 1 min ago'],
] as const) {
  test(`doctor: the sweep by a batch that was ${what}`, () => {
    const found = judgeSweep({ ...NIGHTLY, ...batch }, START + minutes * MINUTE_MS, 'create it')
    assert.deepEqual([found.ok, found.seen], [ok, seen])
  })
}

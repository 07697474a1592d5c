import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { StoreError } from '../../shared/stores/job-store.ts'
import { createPauses } from '../../worker/limits/pauses.ts'
import { createLog } from '../../worker/observe/log.ts'

function pausesOver(answers: (readonly string[] | Error)[]) {
  const state = { now: 1_000_000, reads: 0 }
  const list = async () => {
    const answer = answers[Math.min(state.reads, answers.length - 1)] ?? []
    state.reads += 1
    if (answer instanceof Error) throw answer
    return answer
  }
  const log = createLog('silent', { write: () => undefined })
  const { paused } = createPauses({ store: { list }, now: () => state.now, log })
  return { state, paused: async () => [...(await paused())] }
}

describe('the paused deployments', () => {
  test('are known to the first job, and read once for all that come within five seconds', async () => {
    const on = pausesOver([['eu']])
    assert.deepEqual(await Promise.all([on.paused(), on.paused()]), [['eu'], ['eu']])
    on.state.now += 4_999
    await on.paused()
    assert.equal(on.state.reads, 1)
  })

  test('are read again after five seconds, and when the clock was set back', async () => {
    const on = pausesOver([['eu'], [], ['us']])
    await on.paused()
    on.state.now += 5_000
    assert.deepEqual(await on.paused(), [])
    on.state.now -= 3_600_000
    assert.deepEqual(await on.paused(), ['us'])
  })

  test('stay the last known ones while the store is away', async () => {
    const on = pausesOver([['eu'], new StoreError('unavailable', 'away')])
    await on.paused()
    on.state.now += 5_000
    assert.deepEqual(await on.paused(), ['eu'])
  })

  test('are none if the store was never there', async () => {
    assert.deepEqual(await pausesOver([new StoreError('unavailable', 'away')]).paused(), [])
  })
})

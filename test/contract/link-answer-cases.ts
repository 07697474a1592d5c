import assert from 'node:assert/strict'
import { createJobReader } from '../../shared/stores/job-reader.ts'
import { createJobStore } from '../../shared/stores/job-store/create-job-store.ts'
import type { JobStore } from '../../shared/stores/job-store.ts'
import { type EarlierAnswer, findAnswer, linkAnswer } from '../../shared/stores/link-answer.ts'
import type { RecordDocuments } from '../../shared/stores/record-documents.ts'
import { MAX_RESULT_BYTES } from '../../shared/stores/result-parts.ts'
import { aClaim, aDeadLetter, aJob, anAnswer, DAY_MS, START } from '../support/job-builders.ts'
import type { Fact } from './job-store-contract.ts'
import { isStoreError, losingReplies, partsOf, sendingTwice, withoutPart } from './job-store-support.ts'

const again = aJob({ batch: 'the next night' })
const at = { now: START + DAY_MS, expireAt: START + 31 * DAY_MS }
const TTL_MS = 30 * DAY_MS
const ANSWERS = { 'in its record': '{"text":"short"}', 'in parts': 'x'.repeat(2 * MAX_RESULT_BYTES + 1) }

async function settle(store: JobStore, ending: Parameters<JobStore['settle']>[1], batch = 'nightly'): Promise<void> {
  const claim = await store.claim(aClaim({ job: aJob({ batch }) }))
  assert.ok(claim.kind === 'run')
  await store.settle(claim.held, ending, START)
}

async function found(documents: RecordDocuments, earlier = ['nightly']): Promise<EarlierAnswer> {
  const answer = await findAnswer(documents, earlier, again, at)
  assert.ok(answer)
  return answer
}

async function resultOf(documents: RecordDocuments): Promise<string | undefined> {
  const reader = createJobReader(documents)
  const record = await reader.read(again.key)
  assert.ok(record?.status === 'succeeded')
  return reader.readResult(record)
}

/** How an answer gets to the same job of a later batch, over any adapter. */
export function linkAnswerCases(fact: Fact): void {
  for (const [where, result] of Object.entries(ANSWERS)) {
    fact(`that is ${where} is read from the later batch, which has used no tokens`, async ({ documents, store }) => {
      await settle(store, anAnswer({ result }))
      assert.equal(await linkAnswer(documents, await found(documents)), true)
      assert.ok((await resultOf(documents)) === result)
      assert.deepEqual(await documents.countByStatus('the next night'), { succeeded: 1 })
      const sums = [
        await documents.sumUsage({ batch: 'the next night' }),
        await documents.sumUsage({ day: '2026-11-25' }),
      ]
      assert.deepEqual(sums, [
        { promptTokens: 0, completionTokens: 0 },
        { promptTokens: 0, completionTokens: 0 },
      ])
    })

    fact(`that is ${where} is linked once, also if each write is sent twice`, async ({ documents, store }) => {
      await settle(store, anAnswer({ result }))
      assert.equal(await linkAnswer(sendingTwice(documents), await found(documents)), true)
      assert.equal(await linkAnswer(documents, await found(documents)), true)
      assert.ok((await resultOf(documents)) === result)
    })
  }

  fact('is linked by the next try if the reply to the first was lost', async ({ documents, store }) => {
    await settle(store, anAnswer())
    const answer = await found(documents)
    await assert.rejects(linkAnswer(losingReplies(documents), answer), isStoreError('unavailable'))
    assert.equal(await linkAnswer(documents, answer), true)
  })

  fact('is not linked if a part of it is missing, and the job has no record', async ({ documents }) => {
    const store = createJobStore(withoutPart(documents, 1), TTL_MS)
    await settle(store, anAnswer({ result: ANSWERS['in parts'] }))
    assert.equal(await linkAnswer(documents, await found(documents)), false)
    assert.equal(await documents.read(again.key), undefined)
  })

  fact('leaves a record of its own in place', async ({ documents, store }) => {
    await settle(store, anAnswer())
    const answer = await found(documents)
    await store.claim(aClaim({ job: again }))
    assert.equal(await linkAnswer(documents, answer), false)
    assert.equal((await documents.read(again.key))?.record.status, 'running')
  })

  fact('is not asked again by a message of the job that comes later', async ({ documents, store }) => {
    await settle(store, anAnswer())
    await linkAnswer(documents, await found(documents))
    assert.equal((await store.claim(aClaim({ job: again }))).kind, 'settled')
  })

  fact('is that of the newest batch that has one', async ({ documents, store, spoil }) => {
    await settle(store, aDeadLetter(), 'fourth')
    await settle(store, anAnswer(), 'third')
    await spoil(aJob({ batch: 'third' }).key)
    await settle(store, anAnswer({ result: '"of the second"' }), 'second')
    await settle(store, anAnswer({ result: '"of the first"' }), 'first')
    const answer = await found(documents, ['fifth', 'fourth', 'third', 'second', 'first'])
    assert.equal(answer.record.linkedFrom, 'second')
    await linkAnswer(documents, answer)
    assert.equal(await resultOf(documents), '"of the second"')
  })

  fact('of a job with the same id and another payload is not found', async ({ documents, store }) => {
    await settle(store, anAnswer())
    const changed = { ...again, payloadHash: 'the first payloae' }
    assert.equal(await findAnswer(documents, ['nightly'], changed, at), undefined)
  })

  fact('has parts that the settled record of the first job does not share', async ({ documents, store }) => {
    await settle(store, anAnswer({ result: ANSWERS['in parts'] }))
    await linkAnswer(documents, await found(documents))
    await documents.writePart(aJob().key, 'a', 1, 'torn', START)
    assert.equal((await partsOf(documents, again.key, 'a')).join(''), ANSWERS['in parts'])
  })
}

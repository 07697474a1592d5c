import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { sourceOf } from '../../cli/documents/source-of.ts'
import { checkLines } from '../../cli/submit/check-lines.ts'
import { linkLines } from '../../cli/submit/link-lines.ts'
import { type PublishOptions, publishLines } from '../../cli/submit/publish-lines.ts'
import { findBuiltInTemplate } from '../../shared/job/built-in-templates.ts'
import type { Ending } from '../../shared/job/ending.ts'
import { parseJob } from '../../shared/job/parse-job.ts'
import type { Message } from '../../shared/queues/job-queue.ts'
import { isUnfinished } from '../../shared/stores/batch-store.ts'
import { createJobStore } from '../../shared/stores/job-store/create-job-store.ts'
import { StoreError } from '../../shared/stores/job-store.ts'
import type { RecordDocuments } from '../../shared/stores/record-documents.ts'
import { openSqliteBatches } from '../../shared/stores/sqlite/sqlite-batches.ts'
import { openSqliteDocuments } from '../../shared/stores/sqlite/sqlite-documents.ts'
import { judgeBatch } from '../../worker/sweep/judge-batch.ts'
import { aClaim, aDeadLetter, anAnswer, DAY_MS, sha256 } from '../support/job-builders.ts'

const lineOf = (id: string, content = id) =>
  JSON.stringify({
    custom_id: id,
    url: '/v1/chat/completions',
    body: { model: 'm', messages: [{ role: 'user', content }] },
  })
const FIRST = ['a', 'b', 'c', 'd'].map((id) => lineOf(id))
/** One document has changed. */
const SECOND = ['a', 'B', 'c', 'd'].map((id) => lineOf(id))

async function inputOf(lines: readonly string[], batch: string, source: string | undefined = 'docs') {
  const data = Buffer.from(lines.join('\n'))
  async function* bytes() {
    yield data
  }
  const checked = await checkLines(bytes(), { attributes: { batch }, onRefused: assert.fail })
  return { bytes, checked, source }
}

type Over = Partial<PublishOptions> & { readonly source?: string; readonly documents?: RecordDocuments }

/** Stores in memory, and what is published to them. */
async function aStore(t: TestContext) {
  const documents = await openSqliteDocuments(':memory:', Date.now)
  const batches = await openSqliteBatches(':memory:')
  t.after(() => [documents, batches].map((each) => each.close()))
  const sent: Message[] = []
  const queue = {
    async publishAll(_: string, messages: readonly Message[]) {
      sent.push(...messages)
      return messages.map(() => 'id')
    },
  }
  const jobStore = createJobStore(documents, 30 * DAY_MS)

  async function publish(lines: readonly string[], name: string, over: Over = {}) {
    const { source = 'docs', documents: writing = documents, ...options } = over
    return publishLines(await inputOf(lines, name, source), {
      ...{ stores: { documents: writing, batches, queue }, name, topic: 'jobs', attributes: { batch: name } },
      ...{ signal: new AbortController().signal, again: false, links: true, resultTtlMs: DAY_MS, ...options },
    })
  }

  /** Settles what was published, as workers do. Gives the ids of the jobs that were asked. */
  async function work(ending: Ending = anAnswer()): Promise<readonly string[]> {
    const asked: string[] = []
    for (const { data, attributes } of sent.splice(0)) {
      const parsed = parseJob(data, attributes, sha256)
      assert.ok(parsed.ok)
      const claim = await jobStore.claim(aClaim({ job: parsed.job }))
      if (claim.kind !== 'run') continue
      asked.push(parsed.job.id)
      await jobStore.settle(claim.held, ending, Date.now())
    }
    return asked
  }
  return { documents, batches, publish, work, sent }
}

const counts = ({ published, linked }: { readonly published: number; readonly linked: number }) => ({
  published,
  linked,
})

describe('submit of documents that were submitted before', () => {
  test('publishes the changed one alone, links the others, and counts all', async (t) => {
    const { documents, batches, publish, work } = await aStore(t)
    assert.deepEqual(counts(await publish(FIRST, 'first')), { published: 4, linked: 0 })
    await work()
    const second = await publish(SECOND, 'second')
    assert.deepEqual(counts(second), { published: 1, linked: 3 })
    assert.equal(second.models.get('m')?.jobs, 1)
    assert.deepEqual(await documents.countByStatus('second'), { succeeded: 3 })
    assert.deepEqual(await work(), ['B'])
    assert.deepEqual(await documents.countByStatus('second'), { succeeded: 4 })
    assert.partialDeepStrictEqual(await batches.read('second'), { status: 'sealed', total: 4, linked: 3 })
  })

  test('links what was linked before, and publishes nothing if nothing has changed', async (t) => {
    const { batches, publish, work, sent } = await aStore(t)
    await publish(FIRST, 'first')
    await work()
    for (const name of ['second', 'third']) {
      assert.deepEqual(counts(await publish(FIRST, name)), { published: 0, linked: 4 })
      assert.partialDeepStrictEqual(await batches.read(name), { status: 'sealed', total: 4, linked: 4, source: 'docs' })
    }
    assert.deepEqual(sent, [])
  })

  test('a batch of which all jobs are linked is completed by the next sweep', async (t) => {
    const { documents, batches, publish, work } = await aStore(t)
    await publish(FIRST, 'first')
    await work()
    await publish(FIRST, 'second')
    const batch = await batches.read('second')
    assert.ok(batch && isUnfinished(batch))
    const verdict = judgeBatch(batch, await documents.countByStatus('second'), { now: Date.now(), maxJobAgeMs: DAY_MS })
    assert.deepEqual(verdict, { as: 'completed', total: 4 })
  })

  test('asks again what failed, and what has not ended', async (t) => {
    const { publish, work } = await aStore(t)
    await publish(FIRST, 'first')
    await work(aDeadLetter())
    assert.deepEqual(counts(await publish(FIRST, 'second')), { published: 4, linked: 0 })
    assert.deepEqual(counts(await publish(FIRST, 'third')), { published: 4, linked: 0 })
  })

  for (const [what, over] of [
    ['with --resubmit', { links: false }],
    ['of another source', { source: 'other documents' }],
  ] as const) {
    test(`${what} asks for everything`, async (t) => {
      const { publish, work } = await aStore(t)
      await publish(FIRST, 'first')
      await work()
      assert.deepEqual(counts(await publish(FIRST, 'second', over)), { published: 4, linked: 0 })
    })
  }

  test('takes an answer from one of the five newest batches of the same source, and of no older one', async (t) => {
    const { batches, publish, work } = await aStore(t)
    await publish(FIRST, 'first')
    await work()
    const origin = { source: 'docs' }
    for (const n of [1, 2, 3, 4]) await batches.open(`later ${n}`, Date.now() + n, origin)
    await batches.open('other', Date.now() + 9, { source: 'other' })
    assert.deepEqual(counts(await publish(FIRST, 'near')), { published: 0, linked: 4 })
    for (const n of [5, 6, 7, 8, 9]) await batches.open(`later ${n}`, Date.now() + n, origin)
    assert.deepEqual(counts(await publish(FIRST, 'far')), { published: 4, linked: 0 })
  })
})

describe('submit of documents that is interrupted between links and sends', () => {
  test('goes on with the next run: each answer is linked once, and the changed document asked once', async (t) => {
    const { documents, batches, publish, work, sent } = await aStore(t)
    await publish(FIRST, 'first')
    await work()
    const interrupt = new AbortController()
    const create: RecordDocuments['create'] = async (record) => {
      interrupt.abort()
      return documents.create(record)
    }
    const cut = await publish(SECOND, 'second', { documents: { ...documents, create }, signal: interrupt.signal })
    assert.equal(cut.published, 0)
    assert.ok(cut.linked > 0)
    assert.deepEqual(sent, [])
    assert.equal((await batches.read('second'))?.status, 'open')

    assert.deepEqual(counts(await publish(SECOND, 'second')), { published: 1, linked: 3 })
    assert.deepEqual(await work(), ['B'])
    assert.deepEqual(await documents.countByStatus('second'), { succeeded: 4 })
    assert.partialDeepStrictEqual(await batches.read('second'), { status: 'sealed', total: 4, linked: 3 })
  })

  test('a message that was sent before its answer was linked asks for nothing', async (t) => {
    const { documents, publish, work, sent } = await aStore(t)
    await publish(FIRST, 'first')
    assert.deepEqual(counts(await publish(FIRST, 'second')), { published: 4, linked: 0 })
    const early = sent.splice(4)
    await work()
    assert.deepEqual(counts(await publish(FIRST, 'second', { again: true })), { published: 0, linked: 4 })
    sent.push(...early)
    assert.deepEqual(await work(), [])
    assert.deepEqual(await documents.countByStatus('second'), { succeeded: 4 })
  })

  test('a job that a worker has begun with is not linked', async (t) => {
    const { documents, publish, work, sent } = await aStore(t)
    await publish(FIRST, 'first')
    await publish(FIRST, 'second')
    const early = sent.splice(4)
    await work()
    sent.push(...early.slice(0, 1))
    await work()
    assert.deepEqual(counts(await publish(FIRST, 'second', { again: true })), { published: 1, linked: 3 })
    assert.deepEqual(await work(), [])
    assert.deepEqual(await documents.countByStatus('second'), { succeeded: 4 })
  })

  test('a store that fails ends it with what to do; nothing is published, and the next run goes on', async (t) => {
    const { documents, publish, work, sent } = await aStore(t)
    await publish(FIRST, 'first')
    await work()
    let writes = 0
    const create: RecordDocuments['create'] = async (record) => {
      writes += 1
      if (writes === 3) throw new StoreError('unavailable', 'the store is away')
      return documents.create(record)
    }
    const failing = publish(SECOND, 'second', { documents: { ...documents, create } })
    await assert.rejects(
      failing,
      /^StoreError: earlier answers cannot be linked: the store is away\. .*run the same command again/,
    )
    assert.deepEqual(sent, [])
    assert.deepEqual(counts(await publish(SECOND, 'second')), { published: 1, linked: 3 })
  })
})

test('submit looks for at most 16 earlier answers at the same time, and stops at the first error', async () => {
  const lines = Array.from({ length: 100 }, (_, n) => lineOf(`doc-${n}`))
  const { bytes, checked } = await inputOf(lines, '')
  const signal = new AbortController().signal
  let [now, most, asked] = [0, 0, 0]
  const link = async () => {
    now += 1
    asked += 1
    most = Math.max(most, now)
    const isEven = asked % 2 === 0
    await turn()
    now -= 1
    return isEven
  }
  const links = await linkLines(bytes(), {
    attributes: {},
    plan: checked.plan,
    link,
    onLinked: () => undefined,
    signal,
  })
  assert.deepEqual([most, links.linked, links.models.get('m')?.jobs], [16, 50, 50])

  asked = 0
  const failing = async () => {
    asked += 1
    throw new Error('away')
  }
  const again = await inputOf(lines, '')
  const options = { attributes: {}, plan: again.checked.plan, link: failing, onLinked: () => assert.fail(), signal }
  await assert.rejects(linkLines(again.bytes(), options), /^Error: away$/)
  assert.ok(asked <= 16)
})

describe('the source of documents', () => {
  const summarize = findBuiltInTemplate('summarize')
  const extract = findBuiltInTemplate('extract')
  assert.ok(summarize && extract)
  const docs = sourceOf(['docs', 'gs://b/p/'], { template: summarize, model: 'm' })

  test('is the same however the inputs are spelled and ordered', () => {
    for (const inputs of [
      ['gs://b/p/', './docs/'],
      ['docs/', 'docs', 'gs://b/p/'],
    ]) {
      assert.equal(sourceOf(inputs, { template: summarize, model: 'm' }), docs)
    }
  })

  test('is another with other inputs, another template or another model', () => {
    const others = [
      sourceOf(['docs'], { template: summarize, model: 'm' }),
      sourceOf(['docs', 'gs://b/p'], { template: summarize, model: 'm' }),
      sourceOf(['docs', 'gs://b/p/'], { template: extract, model: 'm' }),
      sourceOf(['docs', 'gs://b/p/'], { template: summarize, model: 'n' }),
      sourceOf(['docs', 'gs://b/p/'], { template: summarize, model: undefined }),
    ]
    assert.equal(new Set([docs, ...others]).size, 6)
  })

  test('names the folder from which everything is read', () => {
    const [here, root] = ['.', '/'].map((input) => sourceOf([input], { template: summarize, model: 'm' }))
    assert.notEqual(here, root)
  })
})

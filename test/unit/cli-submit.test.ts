import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { checkLines } from '../../cli/submit/check-lines.ts'
import { sendLines } from '../../cli/submit/send-lines.ts'
import { MAX_JOB_BYTES } from '../../shared/job/parse-job.ts'
import type { Message } from '../../shared/queues/job-queue.ts'
import type { BatchStore } from '../../shared/stores/batch-store.ts'
import { openSqliteBatches } from '../../shared/stores/sqlite/sqlite-batches.ts'
import { type Published, submitBatch } from '../../shared/stores/submit-batch.ts'

const MIB = 1024 * 1024
const utf8 = (text: string) => Buffer.from(text)
const latin1 = (text: string) => Buffer.from(text, 'latin1')
const lineOf = (id: string, content = 'x') =>
  `{"custom_id":"${id}","url":"/v1/chat/completions","body":{"messages":[{"role":"user","content":"${content}"}]}}`

interface Call {
  readonly topic: string
  readonly messages: readonly Message[]
}

/** Checks an input and sends its jobs; gives what came of it, and the calls and events in their order. */
async function publish(input: Uint8Array, { batch, later = input }: { batch?: string; later?: Uint8Array } = {}) {
  const calls: Call[] = []
  const events: string[] = []
  const problems: string[] = []
  const attributes = batch === undefined ? {} : { batch }
  const queue = {
    async publishAll(topic: string, messages: readonly Message[]) {
      events.push(`publish ${messages.length}`)
      calls.push({ topic, messages: [...messages] })
      return messages.map((_, n) => String(n))
    },
  }
  const onRefused = (line: number, problem: string) => void problems.push(`line ${line}: ${problem}`)
  async function both() {
    const { plan, jobs, refused, repeated } = await checkLines(chunked(input), { attributes, onRefused })
    const published = await sendLines(chunked(later), {
      ...{ queue, topic: 'jobs', attributes, plan, signal: new AbortController().signal },
      beforeFirst: async () => void events.push('before first'),
      onPublished: (count) => void events.push(`published ${count}`),
    })
    assert.ok(published === jobs)
    return { published, refused, repeated }
  }
  const submitted = await both().catch((error: unknown) => String(error))
  return { submitted, calls, events, problems, messages: calls.flatMap(({ messages }) => messages) }
}

async function* chunked(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 64 * 1024) yield bytes.subarray(at, at + 64 * 1024)
}

const counts = (published: number, refused = 0, repeated = 0) => ({ published, repeated, refused })

describe('submit publishes a line byte for byte', () => {
  for (const [name, character] of Object.entries({ 'U+2028': '\u2028', 'U+2029': '\u2029', 'U+0085': '\u0085' })) {
    test(`with ${name} in a text`, async () => {
      const line = utf8(lineOf('a', `one${character}two`))
      const { submitted, messages } = await publish(line)
      assert.deepEqual(submitted, counts(1))
      assert.deepEqual(messages, [{ data: line, attributes: {} }])
    })
  }

  test('without a CR before the LF, and without a byte order mark before all', async () => {
    const input = utf8(`\ufeff${lineOf('a')}\r\n\r\n \t\v\f\n${lineOf('b')} \n`)
    const { submitted, messages } = await publish(input, { batch: 'nightly' })
    assert.deepEqual(submitted, counts(2))
    const attributes = { batch: 'nightly' }
    assert.deepEqual(messages, [
      { data: utf8(lineOf('a')), attributes },
      { data: utf8(`${lineOf('b')} `), attributes },
    ])
  })
})

describe('submit refuses', () => {
  test('a line that is not UTF-8, and publishes those that are', async () => {
    const input = latin1(`${lineOf('a', 'caf\xe9')}\n${lineOf('b')}\n${lineOf('Z\xfcrich')}\n${lineOf('Z\xf6rich')}`)
    const { submitted, problems, messages } = await publish(input)
    assert.deepEqual(submitted, counts(1, 3))
    assert.deepEqual(
      problems,
      [1, 3, 4].map((line) => `line ${line}: the data is not UTF-8 text`),
    )
    assert.deepEqual(messages[0]?.data, utf8(lineOf('b')))
  })

  const UTF16 = 'UTF-16 text: save the file as UTF-8'
  const littleEndian = (text: string) => Buffer.from(text, 'utf16le')
  for (const [what, encode] of Object.entries({
    'with a mark': (text: string) => littleEndian(`\ufeff${text}`),
    'without one': littleEndian,
    'with its bytes in the other order': (text: string) => littleEndian(text).swap16(),
  })) {
    test(`a file that is UTF-16 ${what}, and says so`, async () => {
      const { submitted, events } = await publish(encode(`${lineOf('a')}\r\n${lineOf('b')}\r\n`))
      assert.deepEqual([submitted, events], [`MisuseError: the input is ${UTF16}`, []])
    })
  }

  for (const [what, input] of [
    ['an image', latin1('\x89PNG\r\n\x1a\n\x00\x00')],
    ['an archive', latin1('PK\x03\x04\x14\x00\x08')],
    ['a PDF', latin1('\xc7\xec\x8f\n%PDF-1.7\n%\n')],
  ] as const) {
    test(`${what}, with one line`, async () => {
      const { submitted, events } = await publish(input)
      const expected = 'MisuseError: the input is not JSON Lines: it has no job, and line 1 is not UTF-8 text'
      assert.deepEqual([submitted, events], [expected, []])
    })
  }

  test('a line of UTF-16 after others, and says so', async () => {
    const { submitted, problems } = await publish(Buffer.concat([utf8(`${lineOf('a')}\n`), littleEndian(lineOf('b'))]))
    assert.deepEqual([submitted, problems], [counts(1, 1), [`line 2: the data is ${UTF16}`]])
  })

  test('a line that is too long, by its whole length, and reads on behind it', async () => {
    const long = new Uint8Array(64 * MIB).fill(0x78)
    const input = Buffer.concat([utf8('{"prompt":"'), long, utf8(`"}\n${lineOf('b')}\n`)])
    const { submitted, problems } = await publish(input)
    const length = 64 * MIB + '{"prompt":""}'.length
    assert.deepEqual(problems, [`line 1: the job is ${length} bytes long; at most ${MAX_JOB_BYTES} are read`])
    assert.deepEqual(submitted, counts(1, 1))
  })

  test('a line of spaces that is too long', async () => {
    const { submitted } = await publish(new Uint8Array(MAX_JOB_BYTES + 1).fill(0x20))
    assert.deepEqual(submitted, counts(0, 1))
  })

  test('a second line with one custom_id and other data, with the number of the first', async () => {
    const lines = [lineOf('a', 'first question'), lineOf('b'), '', lineOf('a', 'second question')]
    const { submitted, problems, messages } = await publish(utf8(lines.join('\n')))
    assert.deepEqual(submitted, counts(2, 1))
    assert.deepEqual(problems, ['line 4: line 1 has the same custom_id and other data'])
    assert.deepEqual(messages[0]?.data, utf8(lineOf('a', 'first question')))
  })

  test('such a line too where the first was published long before', async () => {
    const lines = Array.from({ length: 1_200 }, (_, n) => lineOf(`doc-${n}`))
    const { submitted, problems, calls } = await publish(utf8([...lines, lineOf('doc-0', 'other')].join('\n')))
    assert.deepEqual([submitted, calls.length], [counts(1_200, 1), 3])
    assert.deepEqual(problems, ['line 1201: line 1 has the same custom_id and other data'])
  })
})

test('submit: lines that are equal byte for byte are one job, their line ends apart', async () => {
  const { submitted } = await publish(utf8(`${lineOf('a')}\r\n${lineOf('a')}\n${lineOf('a')}`))
  assert.deepEqual(submitted, counts(1, 0, 2))
})

test('submit publishes 500 lines or 16 MiB at a time', async () => {
  const many = await publish(utf8(Array.from({ length: 501 }, (_, n) => lineOf(`doc-${n}`)).join('\n')))
  assert.deepEqual(
    many.events.filter((event) => !event.startsWith('published')),
    ['before first', 'publish 500', 'publish 1'],
  )
  const long = (n: number) => lineOf(`doc-${n}`, 'x'.repeat(3 * MIB))
  const large = await publish(utf8(Array.from({ length: 7 }, (_, n) => long(n)).join('\n')))
  assert.deepEqual(
    large.calls.map(({ messages }) => messages.length),
    [6, 1],
  )
})

test('submit sends nothing of a line that changed after it was checked', async () => {
  const [checked, changed] = ['one', 'two'].map((content) => utf8([lineOf('a'), lineOf('b', content)].join('\n')))
  assert.ok(checked && changed)
  const { submitted, messages } = await publish(checked, { later: changed })
  assert.match(String(submitted), /^Error: line 2 changed while the input was read/)
  assert.deepEqual(messages, [])
})

test('submit rejects if an input is shorter than it was when it was checked', async () => {
  const lines = [lineOf('a'), lineOf('b')]
  const { submitted } = await publish(utf8(lines.join('\n')), { later: utf8(`${lines[0]}\n`) })
  assert.match(String(submitted), /^Error: line 2 changed while the input was read/)
})

test('submit refuses a line that names another batch', async () => {
  const line = `{"id":"a","batch":"weekly","prompt":"p"}`
  const { problems } = await publish(utf8(line), { batch: 'nightly' })
  assert.match(problems[0] ?? '', /^line 1: batch: is another batch than that of the command/)
  assert.deepEqual((await publish(utf8(line), { batch: 'weekly' })).submitted, counts(1))
})

test('submit sends no more chunks than are under way once one has failed, and rejects with its error', async () => {
  const input = utf8(Array.from({ length: 5_000 }, (_, n) => lineOf(`doc-${n}`)).join('\n'))
  const { plan } = await checkLines(chunked(input), { attributes: {}, onRefused: () => undefined })
  let calls = 0
  const publishAll = async () => {
    calls += 1
    throw new Error('away')
  }
  const sending = sendLines(chunked(input), {
    ...{ queue: { publishAll }, topic: 'jobs', attributes: {}, plan, signal: new AbortController().signal },
    ...{ beforeFirst: async () => undefined, onPublished: () => assert.fail() },
  })
  await assert.rejects(sending, { message: 'away' })
  assert.ok(calls <= 3, `${calls} chunks were sent`)
})

test('submit stops when it is interrupted, and says how much was published', async () => {
  const input = utf8(Array.from({ length: 5_000 }, (_, n) => lineOf(`doc-${n}`)).join('\n'))
  const { plan } = await checkLines(chunked(input), { attributes: {}, onRefused: () => undefined })
  const interrupt = new AbortController()
  const published = await sendLines(chunked(input), {
    ...{ queue: { publishAll: async () => [] }, topic: 'jobs', attributes: {}, plan, signal: interrupt.signal },
    ...{ beforeFirst: async () => undefined, onPublished: () => interrupt.abort() },
  })
  assert.ok(published > 0 && published <= 2_000, `${published}`)
})

test('submit of an input without a job publishes nothing, and does nothing before it', async () => {
  for (const input of ['', '\n\n', '[]', `${lineOf('a').replace('/v1/chat/completions', '/v1/chat/completions/')}\n`]) {
    assert.deepEqual((await publish(utf8(input))).events, [])
  }
})

describe('submit to a batch', () => {
  type Prepare = (batches: BatchStore) => Promise<unknown>
  interface More {
    readonly submitted?: Published & { readonly isWhole?: boolean }
    readonly tokenLimit?: number
    readonly again?: boolean
    readonly fingerprint?: string
  }

  function submit(batches: BatchStore, { submitted = counts(2), tokenLimit, again = false, fingerprint }: More) {
    const publish = async (beforeFirst: () => Promise<void>) => {
      if (submitted.published > 0) await beforeFirst()
      return submitted
    }
    return submitBatch(batches, {
      name: 'nightly',
      fingerprint,
      tokenLimit,
      again,
      howAgain: 'pass --resubmit',
      now: () => 1,
      publish,
    })
  }

  async function openBatches(t: TestContext, prepare: Prepare) {
    const batches = await openSqliteBatches(':memory:')
    t.after(() => batches.close())
    await prepare(batches)
    return batches
  }

  const nothing: Prepare = async () => undefined
  const leftOpen: Prepare = (batches) => batches.open('nightly', 1)
  const sealedWith = (total: number) => async (batches: BatchStore) => {
    await batches.open('nightly', 1)
    await batches.seal('nightly', total, 1)
  }
  const endedAs = (as: 'completed' | 'incomplete', total: number) => async (batches: BatchStore) => {
    await sealedWith(total)(batches)
    await batches.end('nightly', { as, total, at: 2 })
  }
  const isOpen = { status: 'open', name: 'nightly', createdAt: 1 }
  const sealed = (total: number, more = {}) => ({ ...isOpen, status: 'sealed', sealedAt: 1, total, ...more })
  const completed = { ...sealed(5), status: 'completed', completedAt: 2 }
  const incomplete = { ...sealed(5), status: 'incomplete', incompleteAt: 2 }
  const noneTaken = { submitted: counts(0, 2), tokenLimit: 5 }
  const refused = { submitted: counts(0, 5), again: true }

  /** What there is of the batch before; each submit, and the batch after it. */
  const cases: readonly (readonly [string, Prepare, ...(readonly [More, object | undefined])[]])[] = [
    [
      'makes it before the first job, and seals it with the number of its jobs: an id that is repeated is one',
      nothing,
      [{ submitted: counts(3, 1, 1), tokenLimit: 5 }, sealed(2, { tokenLimit: 5, activeAt: 1 })],
    ],
    [
      'of which nothing is published leaves nothing behind, and the corrected file is accepted',
      nothing,
      [noneTaken, undefined],
      [{}, sealed(2)],
    ],
    ['that a submit left open goes on', leftOpen, [noneTaken, isOpen], [{}, sealed(2)]],
    [
      'that an earlier version left sealed without a job is accepted without --resubmit',
      sealedWith(0),
      [{}, sealed(2)],
    ],
    [
      'that an earlier version left completed without a job is accepted without --resubmit',
      endedAs('completed', 0),
      [{}, sealed(2)],
    ],
    [
      '--resubmit never shrinks its total, and it stays completed',
      endedAs('completed', 5),
      [{ submitted: counts(5), again: true }, completed],
      [{ submitted: counts(2), again: true }, completed],
      [refused, completed],
    ],
    [
      '--resubmit with more jobs than before makes it larger, and it goes on',
      endedAs('completed', 1),
      [{ again: true }, sealed(2)],
    ],
    [
      '--resubmit of one that ended incomplete lets it go on, with as many jobs as it had',
      endedAs('incomplete', 5),
      [refused, incomplete],
      [{ again: true }, sealed(5)],
    ],
    [
      'whose publishing was interrupted stays open, and goes on with the same jobs',
      nothing,
      [
        { submitted: { ...counts(2), isWhole: false }, fingerprint: 'abc' },
        { ...isOpen, fingerprint: 'abc' },
      ],
      [{ fingerprint: 'abc' }, sealed(2, { fingerprint: 'abc' })],
    ],
  ]
  for (const [what, prepare, ...submits] of cases) {
    test(what, async (t) => {
      const batches = await openBatches(t, prepare)
      for (const [more, after] of submits) {
        await submit(batches, more)
        assert.deepEqual(await batches.read('nightly'), after)
      }
    })
  }

  const before =
    /^batch "nightly" was submitted before, with 5 jobs\. .* Use another name .* To submit the same jobs again, pass --resubmit/
  test('of other jobs is refused, with and without --resubmit', async (t) => {
    const batches = await openBatches(t, nothing)
    await submit(batches, { fingerprint: 'abc' })
    for (const again of [true, false]) {
      await assert.rejects(submit(batches, { fingerprint: 'other', again }), /was submitted with other jobs/)
    }
  })

  const cancelled = 'batch "nightly" is cancelled, so these jobs would be cancelled as well. Use another name'
  for (const [what, prepare, again, message] of [
    ['sealed', sealedWith(5), false, before],
    ['completed', endedAs('completed', 5), false, before],
    ['cancelled', (batches: BatchStore) => batches.cancel('nightly', 1), false, cancelled],
    ['cancelled', (batches: BatchStore) => batches.cancel('nightly', 1), true, cancelled],
  ] as const) {
    test(`that is ${what} is refused, --resubmit: ${again}, and the way on is named`, async (t) => {
      const batches = await openBatches(t, prepare)
      const found = await batches.read('nightly')
      await assert.rejects(submit(batches, { tokenLimit: 7, again }), { message })
      assert.deepEqual(await batches.read('nightly'), found)
    })
  }
})

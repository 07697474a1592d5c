import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type Job, jobKey, jobUrls } from '../../shared/job/job.ts'
import { MAX_JOB_BYTES, parseJob } from '../../shared/job/parse-job.ts'
import { sha256 } from '../support/job-builders.ts'

type Attributes = Readonly<Record<string, string>>

const messages = [{ role: 'user', content: 'Summarise: …' }]
const request = { url: '/v1/chat/completions', body: { model: 'gpt-4o', messages } }

const encode = (text: string) => new TextEncoder().encode(text)
const parseText = (text: string, attributes: Attributes = {}) => parseJob(encode(text), attributes, sha256)
const parse = (value: unknown, attributes: Attributes = {}) => parseText(JSON.stringify(value), attributes)

function jobOf(value: unknown, attributes: Attributes = {}): Job {
  const parsed = parse(value, attributes)
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.problem)
  return parsed.job
}

function problemOfText(text: string, attributes: Attributes = {}): string {
  const parsed = parseText(text, attributes)
  assert.ok(!parsed.ok, 'it is taken for a job')
  return parsed.problem
}

const problemOf = (value: unknown, attributes?: Attributes) => problemOfText(JSON.stringify(value), attributes)

const hexSha256 = (text: string) => Buffer.from(sha256(text)).toString('hex')

describe('the three shapes of a job', () => {
  const common = { id: 'doc-7', run: 1, url: '/v1/chat/completions', model: 'gpt-4o', body: request.body }

  test('a line of an OpenAI Batch file', () => {
    const line = { custom_id: 'doc-7', method: 'POST', ...request }
    assert.deepEqual(jobOf(line), {
      ...common,
      key: jobKey('', 'doc-7', sha256),
      batch: '',
      metadata: {},
      deadline: undefined,
      payloadHash: hexSha256(JSON.stringify(line)),
    })
  })

  test('the same with our own fields', () => {
    const own = { id: 'doc-7', batch: 'nightly', deadline: '2026-11-24T06:00:00Z', metadata: { row: '7' }, ...request }
    assert.deepEqual(jobOf(own), {
      ...common,
      key: jobKey('nightly', 'doc-7', sha256),
      batch: 'nightly',
      metadata: { row: '7' },
      deadline: Date.UTC(2026, 10, 24, 6),
      payloadHash: hexSha256(JSON.stringify(own)),
    })
  })

  test('a bare prompt asks a chat with one message', () => {
    const job = jobOf({ prompt: 'Summarise: …' })
    assert.equal(job.url, '/v1/chat/completions')
    assert.equal(JSON.stringify(job.body), JSON.stringify({ messages }))
    assert.equal(job.model, undefined)
  })

  test('a prompt may name its model and all that any job may name', () => {
    const job = jobOf({ prompt: 'Summarise: …', model: 'gpt-4o', id: 'doc-7', batch: 'b', metadata: { row: '7' } })
    assert.equal(job.model, 'gpt-4o')
    assert.deepEqual(job.body, request.body)
    assert.deepEqual([job.id, job.batch, job.metadata], ['doc-7', 'b', { row: '7' }])
  })

  test('a prompt that brings a body too is neither shape', () => {
    assert.match(problemOf({ prompt: 'Summarise: …', ...request }), /unknown field "url", "body"/)
  })

  test('an unknown field is refused by its name, in both shapes', () => {
    assert.equal(problemOf({ prompt: 'Summarise: …', modle: 'x' }), 'the job: unknown field "modle"')
    assert.equal(problemOf({ ...request, dead_line: 'x' }), 'the job: unknown field "dead_line"')
  })

  test('an empty object is refused, and the error says what it lacks', () => {
    assert.match(problemOf({}), /^url: .*; body: /)
  })

  test('any other method than POST is refused', () => {
    assert.match(problemOf({ ...request, method: 'GET' }), /^method: /)
  })
})

describe('the url', () => {
  test('may leave /v1 out', () => {
    assert.equal(jobOf({ ...request, url: '/chat/completions' }).url, '/v1/chat/completions')
    assert.equal(jobOf({ url: '/responses', body: { input: 'x' } }).url, '/v1/responses')
    assert.equal(jobOf({ url: '/embeddings', body: { input: 'x' } }).url, '/v1/embeddings')
  })

  for (const url of jobUrls) {
    test(`may be ${url}`, () => {
      assert.equal(jobOf({ ...request, url }).url, url)
    })
  }

  for (const url of ['/v1/files', 'chat/completions', '/v1/v1/chat/completions', 'https://x/v1/chat/completions', '']) {
    test(`“${url}” is refused with those that may be asked`, () => {
      const urls = '/v1/chat/completions, /v1/responses, /v1/embeddings'
      assert.equal(problemOf({ ...request, url }), `url: cannot be asked here; it must be one of ${urls}`)
    })
  }
})

describe('the body', () => {
  test('goes on as it is, nested fields and all', () => {
    const body = { messages, temperature: 0, seed: null, tools: [{ function: { parameters: { __x__: {} } } }] }
    assert.deepEqual(jobOf({ ...request, body }).body, body)
  })

  for (const [name, why] of [
    ['stream', 'streams are not supported: the whole answer goes into the record'],
    ['background', 'the answer must come with the response that was paid for'],
  ] as const) {
    test(`with ${name}: true, or a similar value, is refused, and the error says why`, () => {
      for (const value of [true, 'true', 1, 'yes', {}]) {
        const problem = problemOf({ ...request, body: { messages, [name]: value } })
        assert.equal(problem, `body.${name}: can only be false: ${why}`)
      }
    })

    test(`with ${name}: false is a job, and keeps it`, () => {
      assert.equal(jobOf({ ...request, body: { messages, [name]: false } }).body[name], false)
    })
  }

  test('without a model leaves the choice to the default, and is given no field it had not', () => {
    const job = jobOf({ ...request, body: { messages } })
    assert.equal(job.model, undefined)
    assert.deepEqual(Object.keys(job.body), ['messages'])
  })

  test('must be an object', () => {
    for (const body of [null, [], 'x', 7]) assert.match(problemOf({ ...request, body }), /^body: /)
  })
})

describe('id and custom_id', () => {
  test('name the job, one as well as the other', () => {
    assert.equal(jobOf({ ...request, id: 'doc-7' }).key, jobOf({ ...request, custom_id: 'doc-7' }).key)
  })

  test('may both stand if they are the same', () => {
    assert.equal(jobOf({ ...request, id: 'doc-7', custom_id: 'doc-7' }).id, 'doc-7')
    assert.match(problemOf({ ...request, id: 'doc-7', custom_id: 'doc-8' }), /name two jobs/)
  })

  test('absent, the hash of the data is the id: the same prompt twice is one job', () => {
    const first = jobOf({ prompt: 'Summarise: …' })
    assert.equal(first.id, hexSha256('{"prompt":"Summarise: …"}'))
    assert.equal(jobOf({ prompt: 'Summarise: …' }).key, first.key)
    assert.notEqual(jobOf({ prompt: 'Summarise: ….' }).key, first.key)
  })
})

/** What is accepted at its longest and refused one longer. */
const lengths: Record<string, { max: number; job: (length: number) => unknown }> = {
  id: { max: 256, job: (length) => ({ ...request, id: 'x'.repeat(length) }) },
  custom_id: { max: 256, job: (length) => ({ ...request, custom_id: 'x'.repeat(length) }) },
  batch: { max: 128, job: (length) => ({ ...request, batch: 'x'.repeat(length) }) },
  model: { max: 128, job: (length) => ({ prompt: 'p', model: 'x'.repeat(length) }) },
  'body.model': { max: 128, job: (length) => ({ ...request, body: { model: 'x'.repeat(length) } }) },
  metadata: {
    max: 16,
    job: (length) => ({ ...request, metadata: Object.fromEntries(Array.from({ length }, (_, i) => [`k${i}`, 'v'])) }),
  },
  'metadata.row': { max: 1_024, job: (length) => ({ ...request, metadata: { row: 'x'.repeat(length) } }) },
}

describe('how long a field may be', () => {
  for (const [field, { max, job }] of Object.entries(lengths)) {
    test(`${field}: ${max} is accepted and ${max + 1} is refused`, () => {
      jobOf(job(max))
      assert.ok(problemOf(job(max + 1)).startsWith(`${field}: `))
    })
  }

  test('a metadata key of 64 characters is accepted and one of 65 is refused', () => {
    jobOf({ ...request, metadata: { ['k'.repeat(64)]: 'v' } })
    assert.match(problemOf({ ...request, metadata: { ['k'.repeat(65)]: 'v' } }), /^metadata\.k{40}: /)
  })

  test('an empty id, model or prompt is refused; an empty batch is none', () => {
    assert.match(problemOf({ ...request, id: '' }), /^id: /)
    assert.match(problemOf({ ...request, body: { model: '' } }), /^body.model: /)
    assert.match(problemOf({ prompt: '' }), /^prompt: /)
    assert.equal(jobOf({ ...request, batch: '', id: 'doc-7' }).key, jobOf({ ...request, id: 'doc-7' }).key)
  })

  test('data of the cap’s length is read and one byte more is refused, whatever it says', () => {
    const padded = (length: number) => JSON.stringify({ prompt: 'x' }).padEnd(length)
    assert.equal(parseText(padded(MAX_JOB_BYTES)).ok, true)
    assert.deepEqual(parseText(padded(MAX_JOB_BYTES + 1)), {
      ok: false,
      problem: 'the job is 4194305 bytes long; at most 4194304 are read',
    })
  })
})

describe('text the stores could not keep apart', () => {
  test('a NUL in the batch is refused: with it two jobs would share one key', () => {
    assert.equal(jobKey('a', 'b\0c', sha256), jobKey('a\0b', 'c', sha256))
    assert.equal(jobOf({ ...request, batch: 'a', id: 'b\0c' }).id, 'b\0c')
    assert.match(problemOf({ ...request, batch: 'a\0b', id: 'c' }), /^batch: /)
    assert.match(problemOf({ ...request, id: 'c' }, { batch: 'a\0b' }), /^attribute batch: /)
  })

  const half = '\ud800'
  for (const [field, job, problem] of [
    ['id', { ...request, id: half }, 'holds half a surrogate pair'],
    ['custom_id', { ...request, custom_id: `x${half}` }, 'holds half a surrogate pair'],
    ['batch', { ...request, batch: half }, 'holds a NUL or half a surrogate pair'],
    ['model', { prompt: 'x', model: half }, ''],
    ['body.model', { ...request, body: { model: half } }, ''],
    ['metadata.row', { ...request, metadata: { row: half } }, 'has more than 1,024 bytes, or half a surrogate pair'],
    ['metadata.�', { ...request, metadata: { [half]: '7' } }, ''],
  ] as const) {
    test(`half a surrogate pair in ${field} is refused in words`, () => {
      assert.ok(problemOf(job).startsWith(`${field}: ${problem}`), problemOf(job))
    })
  }

  test('half a surrogate pair in a prompt is the model’s to judge, and is sent as it was escaped', () => {
    assert.match(JSON.stringify(jobOf({ prompt: half }).body), /"\\ud800"/)
  })
})

describe('names that are special to JavaScript or to a store', () => {
  const line = (text: string) => `{"url":"/v1/chat/completions",${text}}`
  const refusal = (text: string) => problemOfText(line(text))

  test('__proto__ is an id and a batch like any other', () => {
    const job = jobOf({ ...request, id: '__proto__', batch: '__proto__' })
    assert.equal(job.key, jobKey('__proto__', '__proto__', sha256))
  })

  test('__proto__ as a field is unknown', () => {
    assert.equal(refusal('"body":{},"__proto__":{"id":"x"}'), 'the job: unknown field "__proto__"')
  })

  test('__proto__ in the body is refused: it would not reach the model', () => {
    assert.match(refusal('"body":{"__proto__":{"model":"x"}}'), /^body: .*__proto__/)
  })

  test('__proto__ deep in the body is data', () => {
    const parsed = parseText(line('"body":{"tools":[{"__proto__":1}]}'))
    assert.equal(parsed.ok && JSON.stringify(parsed.job.body), '{"tools":[{"__proto__":1}]}')
  })

  test('names between double underscores, and none at all, are no metadata keys: Firestore reserves them', () => {
    for (const key of ['__proto__', '__name__', '']) {
      assert.match(refusal(`"body":{},"metadata":{"${key}":"x"}`), /^metadata/, key)
    }
    const metadata = { __row: '7', row__: '7', __a__b: '7', b__a__: '7' }
    assert.deepEqual(jobOf({ ...request, metadata }).metadata, metadata)
  })

  test('nothing is ever written to a prototype', () => {
    parseText(line('"body":{"__proto__":{"polluted":1}},"metadata":{"__proto__":"x"},"__proto__":{"polluted":1}'))
    assert.equal(Reflect.get({}, 'polluted'), undefined)
  })
})

describe('what a job is made of is counted before it is parsed', () => {
  const line = (input: string) => `{"url":"/v1/embeddings","body":{"input":[${input}]}}`
  const TOO_MANY = 'the job holds more than 100000 values and names; split it into several jobs'

  test('100,000 values and names are a job, as a list of token ids for an embedding, and one more is not', () => {
    // Three names, their values and the job itself.
    const around = 7
    assert.equal(parseText(line(`${'7,'.repeat(99_999 - around)}7`)).ok, true)
    assert.equal(problemOfText(line(`${'7,'.repeat(100_000 - around)}7`)), TOO_MANY)
  })

  const many = Array.from({ length: 450_000 }, (_, n) => `"${n.toString(36)}":0`).join()
  for (const [what, text] of [
    ['450,000 entries in metadata', `{"prompt":"x","metadata":{${many}}}`],
    ['450,000 fields in a body', `{"url":"/v1/responses","body":{${many}}}`],
    ['450,000 fields of its own', `{"prompt":"x",${many}}`],
    ['four megabytes of empty lists', line('[],'.repeat(1_300_000).slice(0, -1))],
  ] as const) {
    test(`${what} are refused`, () => {
      assert.equal(problemOfText(text), TOO_MANY)
    })
  }

  test('100 levels in a body are a job, and one more is not', () => {
    const nested = (levels: number) => line('['.repeat(levels) + ']'.repeat(levels))
    assert.equal(parseText(nested(98)).ok, true)
    for (const levels of [99, 99_000]) {
      assert.equal(problemOfText(nested(levels)), 'the job is nested more than 101 levels deep')
    }
  })

  test('structural characters in a prompt count nothing', () => {
    assert.equal(parse({ prompt: '{[,:"\\'.repeat(200_000) }).ok, true)
  })

  test('more than 16 entries of metadata are refused before any of them is looked at', () => {
    const metadata = Object.fromEntries(Array.from({ length: 17 }, (_, n) => [`k${n}`, n]))
    assert.equal(problemOf({ prompt: 'x', metadata }), 'metadata: has more than 16 entries')
  })
})

test('unknown fields are named by 40 characters of each, in 200 of all', () => {
  const unknown = (names: readonly string[]) =>
    problemOf({ prompt: 'x', ...Object.fromEntries(names.map((name) => [name, 7])) })
  assert.equal(unknown(['y'.repeat(41)]), `the job: unknown field "${'y'.repeat(40)}"`)
  assert.equal(unknown([...'abcdefgh'].map((name) => name.repeat(40))).length, 'the job: '.length + 200)
})

describe('data that is no job at all', () => {
  test('is not UTF-8', () => {
    const truncated = encode('{"prompt":"€"}').filter((byte) => byte !== 0xac)
    const surrogate = Uint8Array.from([...encode('{"prompt":"'), 0xed, 0xa0, 0x80, ...encode('"}')])
    for (const data of [truncated, surrogate, Uint8Array.of(0xff)]) {
      assert.deepEqual(parseJob(data, {}, sha256), { ok: false, problem: 'the data is not UTF-8 text' })
    }
  })

  for (const text of ['', 'Summarise: …', '{"prompt":"x"', '{"prompt":"x"} {}', "{'prompt':'x'}", 'undefined', 'NaN']) {
    test(`is not JSON: ${text === '' ? 'nothing' : text}`, () => {
      assert.deepEqual(parseText(text), { ok: false, problem: 'the data is not JSON' })
    })
  }

  for (const text of ['[]', '[{"prompt":"x"}]', 'null', '7', '"prompt"', 'true']) {
    test(`is JSON, but no object: ${text}`, () => {
      assert.deepEqual(parseText(text), { ok: false, problem: 'the data is not a JSON object' })
    })
  }

  test('a byte order mark before a job is no harm', () => {
    assert.equal(parseText('\ufeff{"prompt":"x"}').ok, true)
  })
})

describe('data nested deeply', () => {
  const nested = (open: string, close: string, depth: number) => open.repeat(depth) + close.repeat(depth)
  for (const [what, text] of Object.entries({
    'brackets alone': nested('[', ']', 100_000),
    'brackets that never close': '['.repeat(100_000),
    'a prompt of brackets': `{"prompt":${nested('[', ']', 100_000)}}`,
    'metadata of braces': `{"prompt":"x","metadata":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}}`,
  })) {
    test(`100,000 times is refused and does no harm: ${what}`, () => assert.equal(parseText(text).ok, false))
  }
})

test('metadata is limited in bytes, not in characters: it is carried as an attribute', () => {
  jobOf({ ...request, metadata: { row: 'é'.repeat(512) } })
  assert.match(problemOf({ ...request, metadata: { row: `${'é'.repeat(512)}x` } }), /^metadata\.row: /)
})

describe('the attributes', () => {
  test('pb-run is the run, and 1 when absent', () => {
    assert.equal(jobOf(request).run, 1)
    assert.equal(jobOf(request, { 'pb-run': '1' }).run, 1)
    assert.equal(jobOf(request, { 'pb-run': '999999' }).run, 999_999)
  })

  test('pb-deadline is the deadline of a job that has none', () => {
    const attributes = { 'pb-deadline': '2026-12-01T06:00:00Z' }
    assert.equal(jobOf(request, attributes).deadline, Date.UTC(2026, 11, 1, 6))
    const own = { ...request, deadline: '2026-12-02T06:00:00Z' }
    assert.equal(jobOf(own, attributes).deadline, Date.UTC(2026, 11, 2, 6))
    assert.match(problemOf(request, { 'pb-deadline': 'soon' }), /^attribute pb-deadline: /)
  })

  for (const run of ['', '0', '-1', '1.5', 'two', 'Infinity', 'NaN', '1000000', '0x10', '1e3', ' 1 ', '01']) {
    test(`pb-run “${run}” is refused`, () => {
      const problem = 'attribute pb-run: is not a whole number from 1 to 999999'
      assert.equal(problemOf(request, { 'pb-run': run }), problem)
    })
  }

  test('batch is the batch, unless the data names one', () => {
    assert.equal(jobOf(request, { batch: 'nightly' }).batch, 'nightly')
    assert.equal(jobOf({ ...request, batch: 'weekly' }, { batch: 'nightly' }).batch, 'weekly')
  })

  test('a batch is the same job’s, whether attribute or data name it', () => {
    const id = 'doc-7'
    assert.equal(jobOf({ ...request, id }, { batch: 'b' }).key, jobOf({ ...request, id, batch: 'b' }).key)
  })

  test('a batch of 128 characters is accepted and one of 129 is refused', () => {
    jobOf(request, { batch: 'x'.repeat(128) })
    assert.match(problemOf(request, { batch: 'x'.repeat(129) }), /^attribute batch: /)
  })

  test('attributes we do not know are other people’s', () => {
    assert.equal(jobOf(request, { traceparent: '00-x', googclient_x: 'y' }).run, 1)
  })
})

describe('the deadline', () => {
  test('is read with Z or an offset', () => {
    for (const deadline of ['2026-11-24T06:00:00Z', '2026-11-24T08:00:00+02:00', '2026-11-24T06:00:00.000Z']) {
      assert.equal(jobOf({ ...request, deadline }).deadline, Date.UTC(2026, 10, 24, 6))
    }
  })

  for (const deadline of ['2026-11-24T06:00:00', '2026-11-24', 'tomorrow', '2026-02-30T00:00:00Z', '']) {
    test(`“${deadline}” is refused`, () => assert.match(problemOf({ ...request, deadline }), /^deadline: /))
  }

  test('that is accepted is a time', () => {
    fc.assert(
      fc.property(fc.date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-12-31') }), (date) => {
        assert.equal(jobOf({ ...request, deadline: date.toISOString() }).deadline, date.getTime())
      }),
    )
  })
})

const CANARY = 'zqXJkvWYzqXJkvWY'
const FRAGMENT_LENGTH = 4

/** Whether a text quotes the canary, or as little as four characters of it. */
function quotesCanary(text: string): boolean {
  const fragments = Array.from({ length: CANARY.length - FRAGMENT_LENGTH + 1 }, (_, at) =>
    CANARY.slice(at, at + FRAGMENT_LENGTH),
  )
  return fragments.some((fragment) => text.toLowerCase().includes(fragment.toLowerCase()))
}

describe('a problem never quotes a value', () => {
  test('the canary finder finds a planted canary, whole, cut and in other letters', () => {
    for (const text of [CANARY, `id: "${CANARY}" is wrong`, `…${CANARY.slice(-5)}`, CANARY.toUpperCase()]) {
      assert.equal(quotesCanary(text), true, text)
    }
    assert.equal(quotesCanary('id: Too big: expected string to have <=256 characters'), false)
  })

  test('the canary finder finds what the JSON parser itself would say', () => {
    assert.throws(
      () => JSON.parse(`{"prompt": ${CANARY}}`),
      (error) => error instanceof SyntaxError && quotesCanary(error.message),
    )
  })

  test('the canary finder finds a canary that is a field’s name', () => {
    assert.equal(quotesCanary(problemOf({ ...request, [CANARY]: 1 })), true)
  })

  const names = ['id', 'custom_id', 'method', 'url', 'batch', 'deadline', 'model', 'prompt', 'row', 'stream', 'x']
  const { value: anyValue } = fc.letrec((again) => ({
    value: fc.oneof({ maxDepth: 3 }, again('leaf'), again('list'), again('object')),
    leaf: fc.oneof(
      fc.constantFrom(CANARY, CANARY.repeat(100), `${CANARY}\0`, `\ud800${CANARY}`, `/v1/${CANARY}`, `2026-${CANARY}`),
      fc.constantFrom(null, true, 7),
    ),
    list: fc.array(again('value'), { maxLength: 3 }),
    object: fc.dictionary(fc.constantFrom(...names, 'body', 'metadata'), again('value'), { maxKeys: 4 }),
  }))
  const anyJob = fc.dictionary(fc.constantFrom(...names, 'body', 'metadata'), anyValue)
  const anyAttributes = fc.dictionary(fc.constantFrom('pb-run', 'batch', 'x'), fc.constantFrom(CANARY, `\0${CANARY}`))

  test('wherever in a job or its attributes the value stands', () => {
    let refused = 0
    fc.assert(
      fc.property(fc.oneof(anyJob, fc.constant(request)), anyAttributes, (job, attributes) => {
        const parsed = parse(job, attributes)
        if (parsed.ok) return
        refused += 1
        assert.equal(quotesCanary(parsed.problem), false, parsed.problem)
      }),
      { numRuns: 1_000 },
    )
    assert.ok(refused > 100)
  })

  test('wherever the data is cut off, or not text', () => {
    const data = encode(JSON.stringify({ id: CANARY, ...request, metadata: { row: CANARY } }))
    fc.assert(
      fc.property(fc.nat(data.length - 1), fc.nat(255), (at, byte) => {
        for (const broken of [data.subarray(0, at), data.with(at, byte)]) {
          const parsed = parseJob(broken, {}, sha256)
          // A changed byte can make a name of a value's place, but never of the canary.
          if (!parsed.ok) assert.equal(quotesCanary(parsed.problem), false, parsed.problem)
        }
      }),
    )
  })
})

test('a problem is one short line of well-formed text, whatever a field is called', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 60 }), { minLength: 1 }), (keys) => {
      const odd = [...keys, '\n', '\ud800', `${'x'.repeat(39)}😀`]
      const metadata = Object.fromEntries(odd.map((key) => [key, 7]))
      for (const problem of [problemOf({ ...metadata, prompt: 'x' }), problemOf({ prompt: 'x', metadata })]) {
        assert.ok(problem.isWellFormed() && !/\p{Cc}/u.test(problem) && problem.length < 600, JSON.stringify(problem))
      }
    }),
  )
})

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { endOfString, numberOf } from '../../shared/job/exact-numbers.ts'
import { parseJob } from '../../shared/job/parse-job.ts'
import { mostAnswerBytes } from '../../shared/models/job-answer.ts'
import { sha256 } from '../support/job-builders.ts'

const CHAT = '/v1/chat/completions'
const parseText = (text: string) => parseJob(new TextEncoder().encode(text), {}, sha256)

function jobWith(body: string, url = CHAT) {
  const parsed = parseText(`{"url":"${url}","body":${body}}`)
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.problem)
  return parsed.job
}

const sentBody = (body: string) => JSON.stringify(jobWith(body).body)

function problemOf(text: string): string {
  const parsed = parseText(text)
  assert.ok(!parsed.ok, 'it is taken for a job')
  return parsed.problem
}

describe('a number of a body keeps its digits', () => {
  const numbers = ['6150769120280496265', '9223372036854775807', '1e400', '0.1000', '-0', '1E5', '-1.50e-07', '1e21']
  for (const number of [...numbers, '0.1', '7', '1e+21', '123456789012345678901234567890.5']) {
    test(number, () => {
      const body = `{"seed":${number},"tools":[{"maximum":${number}},[${number},1,"${number}"]]}`
      assert.equal(sentBody(body), body)
    })
  }

  test('whatever stands around it', () => {
    const number = fc.oneof(fc.constantFrom(...numbers), fc.double().map(String), fc.bigInt().map(String))
    const safeNumber = number.filter((text) => /^[-\d]/.test(text) && !text.includes('Infinity'))
    const text = fc.string({ unit: fc.constantFrom('"', '\\', '1', '.', ',', '[', '}', ':', '-0', 'é', '😀') })
    const { value } = fc.letrec<{ value: string }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        safeNumber,
        text.map((content) => JSON.stringify(content)),
        fc.array(tie('value'), { maxLength: 4 }).map((items) => `[${items.join(',')}]`),
        // The names are not numbers, which JavaScript would sort.
        fc
          .uniqueArray(fc.tuple(text, tie('value')), { maxLength: 4, selector: ([name]) => name })
          .map((members) => `{${members.map(([name, item]) => `${JSON.stringify(`x${name}`)}:${item}`).join(',')}}`),
      ),
    }))
    fc.assert(
      fc.property(value, (item) => {
        const body = `{"input":${item}}`
        assert.equal(sentBody(body), body)
      }),
    )
  })

  test('however the text is spaced, and whichever of two equal names is the last', () => {
    const body = '{ "seed" : 1 ,\n "seed" : 6150769120280496265 , "a" : [ 1.0\t, 2 ] }'
    assert.equal(sentBody(body), '{"seed":6150769120280496265,"a":[1.0,2]}')
  })

  test('under a name that is special to JavaScript, deep in the body', () => {
    const body = '{"a":[{"__proto__":{"n":1.0},"constructor":1.0,"2":1.0}]}'
    assert.equal(sentBody(body), '{"a":[{"2":1.0,"__proto__":{"n":1.0},"constructor":1.0}]}')
  })

  test('at the hundredth level', () => {
    const body = `{"input":${'['.repeat(99)}1.0${']'.repeat(99)}}`
    assert.equal(sentBody(body), body)
  })
})

test('digits in a text, a name or an escape are no numbers', () => {
  const body = JSON.stringify({ messages: [{ content: '"seed":6150769120280496265,\\"1.0\\\\' }], '1.0': 'x' })
  assert.equal(sentBody(body), body)
})

test('an ordinary body holds plain numbers', () => {
  const body = { messages: [], max_tokens: 400, temperature: 0.7, top_p: 1, seed: -7 }
  assert.deepEqual(jobWith(JSON.stringify(body)).body, body)
})

describe('a field that is no number is refused as before, with a number of many digits too', () => {
  for (const field of ['body', 'metadata', 'id', 'deadline', 'batch']) {
    test(field, () => {
      const withNumber = (number: string) =>
        problemOf(`{"url":"${CHAT}","body":{"seed":1.0},"${field}":${number}}`).replace(/;.*/, '')
      assert.equal(withNumber('1e400').replace('Infinity', 'number'), withNumber('7'))
      assert.equal(withNumber('6150769120280496265'), withNumber('7'))
    })
  }

  test('body.model', () => {
    assert.match(problemOf(`{"url":"${CHAT}","body":{"model":6150769120280496265}}`), /^body\.model: /)
  })
})

test('90,000 plain numbers beside one of odd digits are kept, and 90,000 of odd digits', () => {
  for (const number of ['7', '1.0']) {
    const body = `{"input":[${`${number},`.repeat(90_000)}1.0]}`
    assert.equal(sentBody(body), body)
  }
})

test('a text that looks like the mark of a raw number is a text', () => {
  const body = `{"a":"${'0'.repeat(64)}1.0","b":1.0}`
  assert.equal(sentBody(body), body)
})

describe('what decides by a number decides by a raw one too', () => {
  test('a cap on the answer cannot hide in its digits', () => {
    for (const name of ['max_tokens', 'max_completion_tokens', 'max_output_tokens', 'n']) {
      for (const number of ['1e400', '99999999999999999999', '4096.0', '4.096E3', '1e2', '-1e400', '-0', '0.5']) {
        assert.equal(
          problemOf(`{"url":"${CHAT}","body":{"${name}":${number}}}`),
          `body.${name}: must be a whole number from 1 on, in digits`,
        )
      }
    }
  })

  test('an answer is estimated as with plain numbers', () => {
    const bytesOf = (url: string, body: string) => mostAnswerBytes(jobWith(body, url))
    for (const [url, raw, plain] of [
      [
        CHAT,
        '{"max_tokens":9,"logprobs":true,"top_logprobs":5.0}',
        '{"max_tokens":9,"logprobs":true,"top_logprobs":5}',
      ],
      ['/v1/embeddings', '{"input":["a","b"],"dimensions":1E2}', '{"input":["a","b"],"dimensions":100}'],
      ['/v1/embeddings', '{"input":[1.0,2]}', '{"input":[1,2]}'],
    ] as const) {
      assert.equal(bytesOf(url, raw), bytesOf(url, plain), raw)
    }
  })

  test('text, null and nothing are no numbers', () => {
    for (const field of ['5', null, undefined, {}, { rawJSON: '5' }]) assert.equal(numberOf(field), undefined)
  })
})

test('a string ends at its own quote, after two million escapes too', () => {
  for (const content of ['', '"', '\\', '\\"', '"'.repeat(2_000_000), '\\'.repeat(2_000_000)]) {
    const text = JSON.stringify(content)
    assert.equal(endOfString(`[${text},"x"]`, 1), 1 + text.length)
  }
})

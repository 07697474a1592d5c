import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { capFields, choicesOf, findCapProblem, outputTokenCap } from '../../shared/job/output-cap.ts'
import { parseJob } from '../../shared/job/parse-job.ts'
import { sha256 } from '../support/job-builders.ts'

describe('a cap on the answer', () => {
  for (const name of [...capFields, 'n', 'best_of']) {
    test(`in ${name} is refused unless it is a whole number from 1 on`, () => {
      const wrong = ['100', '', 1.5, 0, -1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, true, false, [5], {}, 1e300]
      for (const value of [...wrong, JSON.rawJSON('100.0'), JSON.rawJSON('1e2'), JSON.rawJSON('-0')]) {
        assert.equal(findCapProblem({ [name]: value }), `${name}: must be a whole number from 1 on, in digits`)
      }
      for (const value of [undefined, null, 1, 4_096, Number.MAX_SAFE_INTEGER]) {
        assert.equal(findCapProblem({ [name]: value }), undefined)
      }
    })
  }

  test('that two fields give differently is refused, with the names of both', () => {
    assert.equal(
      findCapProblem({ max_tokens: 5, max_completion_tokens: 6 }),
      'max_completion_tokens and max_tokens differ; give one of them',
    )
    assert.equal(findCapProblem({ max_tokens: 5, max_completion_tokens: 5, max_output_tokens: null }), undefined)
  })

  test('is the one that is given, whichever field has it, and none where it is null', () => {
    for (const name of capFields) assert.equal(outputTokenCap({ [name]: 7 }), 7)
    assert.equal(outputTokenCap({ max_completion_tokens: null, max_tokens: 7 }), 7)
    assert.equal(outputTokenCap({ max_completion_tokens: null }), undefined)
    assert.equal(outputTokenCap({}), undefined)
  })

  test('holds for each of the choices: the larger of n and best_of, or one', () => {
    assert.deepEqual([{}, { n: null }, { n: 3 }, { n: 2, best_of: 5 }].map(choicesOf), [1, 1, 3, 5])
  })

  test('that is wrong is reported where the job is read, so by submit and by the client as well', () => {
    const data = Buffer.from('{"url":"/v1/responses","body":{"input":"x","max_output_tokens":"100"}}')
    assert.deepEqual(parseJob(data, {}, sha256), {
      ok: false,
      problem: 'body.max_output_tokens: must be a whole number from 1 on, in digits',
    })
  })
})

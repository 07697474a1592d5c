import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Failure } from '../../shared/job/failures.ts'
import { afterReply, isStoppable, NOT_BEGUN, REFUSALS_TO_STOP } from '../../worker/limits/stopped-batch.ts'

type Reply = Failure | undefined

const refusal = (over: Partial<Failure> = {}): Failure => ({
  ...{ kind: 'rejected', code: 'unsupported_parameter: max_tokens', httpStatus: 400, message: 'no' },
  ...over,
})
const times = (n: number, reply: Reply): readonly Reply[] => Array.from({ length: n }, () => reply)
const after = (...replies: readonly Reply[]) => replies.reduce(afterReply, NOT_BEGUN).kind

describe('a batch', () => {
  test('is stopped by the 20th refusal of one code, and not by the 19th', () => {
    assert.equal(after(...times(19, refusal())), 'undecided')
    assert.equal(after(...times(20, refusal())), 'stopped')
    assert.equal(REFUSALS_TO_STOP, 20)
  })

  test('is stopped by refusals without a code as well', () => {
    const { code: _, ...unnamed } = refusal()
    assert.equal(after(...times(20, unnamed)), 'stopped')
  })

  const ignored: readonly Failure[] = [
    refusal({ code: 'content_filter' }),
    refusal({ code: 'content_filter/ResponsibleAIPolicyViolation' }),
    refusal({ code: 'context_length_exceeded' }),
    refusal({ httpStatus: 413 }),
    refusal({ kind: 'throttled', httpStatus: 429 }),
    refusal({ kind: 'unavailable', httpStatus: 500 }),
    refusal({ kind: 'forbidden', httpStatus: 400 }),
  ]
  for (const failure of ignored) {
    test(`is neither stopped nor kept going by ${failure.httpStatus} ${failure.kind} ${failure.code}`, () => {
      assert.equal(after(...times(100, failure)), 'undecided')
      assert.equal(after(...times(19, refusal()), failure, refusal()), 'stopped')
    })
  }

  test('goes on for good after one answer, or one refusal of another code, among the first', () => {
    for (const other of [undefined, refusal({ code: 'invalid_type: messages' })]) {
      assert.equal(after(...times(19, refusal()), other, ...times(40, refusal())), 'mixed')
    }
  })

  test('that was stopped goes on when a job that was under way is answered, and not when one more is refused', () => {
    const stopped = times(20, refusal())
    assert.equal(after(...stopped, undefined), 'mixed')
    assert.equal(after(...stopped, refusal({ code: 'another' })), 'stopped')
  })

  test('is stopped in its first run alone', () => {
    assert.deepEqual([1, 2, 3].map(isStoppable), [true, false, false])
  })
})

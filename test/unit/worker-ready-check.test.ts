import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createReadyCheck } from '../../worker/http/ready-check.ts'

function aStore() {
  const clock = { now: 10_000 }
  let looks = 0
  let answer = Promise.withResolvers<void>()
  const check = createReadyCheck(
    () => {
      looks += 1
      return answer.promise
    },
    () => clock.now,
  )
  const renew = () => {
    answer = Promise.withResolvers<void>()
  }
  return { clock, check, renew, answer: () => answer, looks: () => looks }
}

test('readiness: all who ask while the store is looked at share one look', async () => {
  const { check, answer, looks, clock } = aStore()
  const asked = Array.from({ length: 100 }, () => check())
  clock.now += 5_000
  asked.push(check())
  answer().resolve()
  await Promise.all(asked)
  assert.equal(looks(), 1)
})

test('readiness: an answer stands for a second, a failure as well, and no longer', async () => {
  const { check, answer, looks, clock, renew } = aStore()
  answer().resolve()
  await check()
  renew()
  answer().reject(new Error('the store is away'))
  clock.now += 999
  await check()
  clock.now += 1
  await assert.rejects(check(), /away/)
  renew()
  answer().resolve()
  clock.now += 999
  await assert.rejects(check(), /away/)
  clock.now += 1
  await check()
  assert.equal(looks(), 3)
})

test('readiness: a clock that is set back does not make an answer stand for longer', async () => {
  const { check, answer, looks, clock } = aStore()
  answer().resolve()
  await check()
  clock.now -= 60_000
  await check()
  assert.equal(looks(), 2)
})

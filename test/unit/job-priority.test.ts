import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { leftFor, type Priority, priorities, priorityOf } from '../../shared/job/priority.ts'

test('the priority of a message is normal unless its attribute says high or low', () => {
  const named = ['high', 'low', 'normal', '', 'High', 'urgent'].map((name) => priorityOf({ 'pb-priority': name }))
  assert.deepEqual(named, ['high', 'low', 'normal', 'normal', 'normal', 'normal'])
  assert.equal(priorityOf({ priority: 'high' }), 'normal')
})

describe('of a limit of 100, what is left', () => {
  const of = (priority: Priority, used: Partial<Record<Priority, number>>, ...arriving: readonly Priority[]) =>
    leftFor(
      priority,
      100,
      priorities.map((each) => ({ priority: each, amount: used[each] ?? 0 })),
      new Set(arriving),
    )

  const cases: readonly [string, number, number][] = [
    ['for a class that is alone is all of it', of('low', {}), 100],
    ['for a class that is alone is what it does not use', of('low', { low: 99 }, 'low'), 1],
    ['for low is 60 while normal jobs arrive', of('low', {}, 'normal'), 60],
    ['for low is 60 while high jobs arrive', of('low', {}, 'high'), 60],
    ['for low is nothing once it uses 60 of it', of('low', { low: 60 }, 'high'), 0],
    ['for low is nothing once low and normal use 85', of('low', { low: 20, normal: 65 }, 'high'), 0],
    ['for low beside much normal is not less while no high job arrives', of('low', { normal: 80 }, 'normal'), 20],
    ['for normal is 85 less what low uses while high jobs arrive', of('normal', { low: 30 }, 'high'), 55],
    ['for normal is all while only low jobs arrive', of('normal', { low: 30 }, 'low'), 70],
    ['for high is all that no other priority uses', of('high', { low: 60, normal: 25 }, 'high', 'normal', 'low'), 15],
    ['is never less than nothing', of('high', { low: 100, normal: 25 }), 0],
  ]
  for (const [what, left, expected] of cases) test(what, () => assert.equal(left, expected))
})

test('a class may always use 1 of the smallest limit, if nothing else uses it', () => {
  const arriving = new Set(priorities)
  assert.deepEqual(
    priorities.map((priority) => leftFor(priority, 1, [], arriving)),
    [1, 1, 1],
  )
  assert.equal(leftFor('low', 1, [{ priority: 'high', amount: 1 }], arriving), 0)
})

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Priority } from '../../shared/job/priority.ts'
import { type Claimant, decideSlot, type Load } from '../../worker/limits/share-slots.ts'

type Entry = readonly [batch: string, amount: number, priority?: Priority]
type Refused = readonly [batch: string, priority?: Priority]

const claimant = (batch: string, priority: Priority = 'normal'): Claimant => ({ batch, priority })
const load = (used: readonly Entry[], refused: readonly Refused[] = [], ...arriving: readonly Priority[]): Load => ({
  used: used.map(([batch, amount, priority]) => ({ ...claimant(batch, priority), amount })),
  refused: refused.map(([batch, priority]) => claimant(batch, priority)),
  arriving: new Set(arriving),
})

describe('of ten slots, one', () => {
  const cases: readonly [string, Claimant, Load, string][] = [
    ['is taken while one is free', claimant('a'), load([['a', 9]]), 'take'],
    [
      'is not there when all are used',
      claimant('a'),
      load([
        ['a', 4],
        ['b', 6],
      ]),
      'full',
    ],
    ['is left to high jobs', claimant('a'), load([['a', 8]], [], 'high'), 'not_its_turn'],
    [
      'goes to a batch below its half',
      claimant('a'),
      load(
        [
          ['a', 4],
          ['b', 5],
        ],
        [['b']],
      ),
      'take',
    ],
    [
      'goes to no batch that has its half',
      claimant('a'),
      load(
        [
          ['a', 5],
          ['b', 4],
        ],
        [['b']],
      ),
      'not_its_turn',
    ],
    [
      'goes to no batch that has its half while the other has none',
      claimant('a'),
      load([['a', 5]], [['b']]),
      'not_its_turn',
    ],
    [
      'of three batches goes to one below four',
      claimant('a'),
      load(
        [
          ['a', 3],
          ['b', 3],
        ],
        [['c']],
      ),
      'take',
    ],
    [
      'of three batches goes to none with four',
      claimant('a'),
      load(
        [
          ['a', 4],
          ['b', 3],
        ],
        [['c']],
      ),
      'not_its_turn',
    ],
    ['is not kept for the batch that asks', claimant('a'), load([['a', 7]], [['a']]), 'take'],
    ['is not kept for a batch of another class', claimant('a'), load([['a', 7]], [['b', 'low']]), 'take'],
    [
      'is shared among the batches of its class alone',
      claimant('a'),
      load(
        [
          ['a', 4],
          ['c', 1, 'low'],
          ['d', 1, 'low'],
        ],
        [['b'], ['e', 'low']],
      ),
      'not_its_turn',
    ],
    ['counts only the batch’s jobs of its class', claimant('a'), load([['a', 6, 'low']], [['b']]), 'take'],
  ]
  for (const [what, who, state, decision] of cases) {
    test(what, () => assert.equal(decideSlot(who, state, 10), decision))
  }
})

test('of fewer slots than batches, each batch may have one', () => {
  const refused: readonly Refused[] = [['b'], ['c'], ['d']]
  assert.equal(decideSlot(claimant('a'), load([['b', 1]], refused), 2), 'take')
  assert.equal(decideSlot(claimant('a'), load([['a', 1]], refused), 2), 'not_its_turn')
})

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Bar, Contestant, Sample } from './harness/bench.ts'
import { concurrently } from './harness/concurrently.ts'
import { judge } from './harness/judge.ts'
import { printReport, rowsOf } from './harness/report.ts'
import { runRounds } from './harness/run-rounds.ts'
import { median, ratios, spreadOf } from './harness/statistics.ts'

describe('the median', () => {
  const cases: readonly (readonly [string, readonly number[], number])[] = [
    ['of an odd number of values is the middle one, in whatever order they come', [9, 1, 2], 2],
    ['of an even number is between the two middle ones', [4, 1, 2, 100], 3],
    ['of one value is that value', [7], 7],
    ['of nothing is no number', [], Number.NaN],
  ]
  for (const [fact, values, expected] of cases) {
    test(fact, () => {
      assert.equal(median(values), expected)
    })
  }

  test('has as many values below it as above', () =>
    fc.assert(
      fc.property(fc.array(fc.integer(), { minLength: 1 }), (values) => {
        const below = values.filter((value) => value < median(values)).length
        const above = values.filter((value) => value > median(values)).length
        assert.ok(below <= values.length / 2 && above <= values.length / 2)
      }),
    ))
})

describe('ratios', () => {
  test('are of the two values of a round', () => {
    assert.deepEqual(ratios([2, 30], [1, 10]), [2, 3])
  })

  test('leave out a round that one of them did not take part in', () => {
    assert.deepEqual(ratios([2, 30, 5], [1, 10]), [2, 3])
  })

  test('keep what noise does to a whole round out of the median', () => {
    assert.equal(spreadOf(ratios([1, 10, 1], [2, 20, 2])).median, 0.5)
  })
})

const samples = (metric: string, values: readonly number[], jobs = 10): Sample[] =>
  values.map((value) => ({ jobs, values: { [metric]: value } }))

const asked = { rounds: 3, jobsPerRound: 10 }
const mets = (results: ReadonlyMap<string, readonly Sample[]>, ...bars: readonly Bar[]) =>
  judge(results, { ...asked, bars }).map(({ met }) => met)

describe('a bar', () => {
  const exactly: Bar = { contestant: 'ours', metric: 'writes/job', is: 'exactly', value: 2 }
  const atMost: Bar = { contestant: 'ours', metric: 'writes/job', is: 'at most', value: 2 }
  const timesThat: Bar = { ...atMost, value: 0.5, timesThatOf: 'baseline' }
  const cases: readonly (readonly [string, Bar, readonly number[], boolean])[] = [
    ['that asks for exactly so much is met by that', exactly, [2, 2, 2], true],
    ['that asks for exactly so much is missed by less in one round', exactly, [2, 1.99, 2], false],
    ['that asks for at most so much is met by exactly that', atMost, [2, 1, 2], true],
    ['that asks for at most so much is missed by more in one round', atMost, [1, 2.01, 1], false],
    ['on a ratio is met by exactly that', timesThat, [2, 2, 2], true],
    ['on a ratio is met though one round is over it', timesThat, [2, 9, 1], true],
    ['on a ratio is missed by its median', timesThat, [2.01, 2.01, 1], false],
  ]
  for (const [fact, bar, values, expected] of cases) {
    test(fact, () => {
      const results = new Map([
        ['baseline', samples('writes/job', [4, 4, 4])],
        ['ours', samples('writes/job', values)],
      ])
      assert.deepEqual(mets(results, bar), [true, true, expected])
    })
  }

  test('is missed where nothing was measured, or not in every round', () => {
    const half = [...samples('writes/job', [2, 2]), { jobs: 10, values: {} }]
    assert.deepEqual(mets(new Map([['ours', half]]), exactly), [true, false])
    assert.deepEqual(mets(new Map(), exactly, atMost), [false, false])
    assert.deepEqual(mets(new Map([['ours', samples('writes/job', [2, 2, 2])]]), timesThat), [true, false])
  })

  test('on a ratio is missed where the other measured nothing but zero', () => {
    const results = new Map([
      ['baseline', samples('writes/job', [0, 0, 0])],
      ['ours', samples('writes/job', [0, 0, 0])],
    ])
    assert.deepEqual(mets(results, timesThat), [true, true, false])
  })
})

describe('a bench is missed', () => {
  test('by a contestant with fewer rounds than were asked for', () => {
    assert.deepEqual(mets(new Map([['ours', samples('n', [1, 1])]])), [false])
  })

  test('by a round with fewer jobs than were asked for', () => {
    assert.deepEqual(mets(new Map([['ours', [...samples('n', [1, 1]), ...samples('n', [1], 9)]]])), [false])
  })

  test('by a contestant that did nothing at all', () => {
    assert.deepEqual(mets(new Map([['ours', []]])), [false])
  })
})

describe('rounds', () => {
  const contestants = (turns: string[]): Contestant[] =>
    ['a', 'b'].map((name) => ({
      name,
      async run(jobs, round) {
        turns.push(`${name}${round}`)
        return { jobs, values: { round } }
      },
    }))

  test('let the contestants take turns, and do not count the warm-up', async () => {
    const turns: string[] = []
    const results = await runRounds(contestants(turns), { rounds: 2, jobs: 10 })
    assert.deepEqual(turns, ['a0', 'b0', 'a1', 'b1', 'a2', 'b2'])
    assert.deepEqual(
      [...results].map(([name, done]) => [name, done.map(({ values }) => values['round'])]),
      [
        ['a', [1, 2]],
        ['b', [1, 2]],
      ],
    )
  })

  test('end with the error of a contestant that fails', async () => {
    const [first] = contestants([])
    const failing: Contestant = { name: 'failing', run: () => Promise.reject(new Error('it ended')) }
    await assert.rejects(runRounds(first === undefined ? [] : [first, failing], { rounds: 2, jobs: 1 }), /it ended/)
  })
})

test('work goes on so many pieces at a time, and every piece is done once', async () => {
  let underWay = 0
  let most = 0
  const done: number[] = []
  await concurrently(10, 3, async (n) => {
    underWay += 1
    most = Math.max(most, underWay)
    await Promise.resolve()
    underWay -= 1
    done.push(n)
  })
  assert.deepEqual([most, done.toSorted((a, b) => a - b)], [3, Array.from({ length: 10 }, (_, n) => n)])
})

describe('a report', () => {
  const results = new Map([
    ['baseline', samples('CPU ms/job', [2, 4, 6])],
    ['ours', samples('CPU ms/job', [1, 1, 3])],
  ])

  test('has the median, the least, the most, and the ratio to the first contestant', () => {
    assert.deepEqual(rowsOf(results), [
      { contestant: 'baseline', metric: 'CPU ms/job', median: 4, min: 2, max: 6, ratio: 1 },
      { contestant: 'ours', metric: 'CPU ms/job', median: 1, min: 1, max: 3, ratio: 0.5 },
    ])
  })

  test('has no ratio to nothing', () => {
    const none = new Map([...results, ['baseline', samples('CPU ms/job', [0, 0, 0])]])
    assert.equal(rowsOf(none).at(-1)?.ratio, undefined)
  })

  test('says which bar is missed, and by what', () => {
    const bars: readonly Bar[] = [{ contestant: 'ours', metric: 'CPU ms/job', is: 'at most', value: 2 }]
    const text = printReport(results, judge(results, { ...asked, bars }))
    assert.match(text, /^ours +CPU ms\/job +1 +1–3 +0\.50$/m)
    assert.match(text, /^MISSED {2}ours: CPU ms\/job at most 2 {2}\(1, 1–3\)$/m)
  })
})

describe('the command', () => {
  const MAIN = join(import.meta.dirname, './main.ts')
  const run = (...args: readonly string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' })
    return { status, stdout, stderr }
  }

  test('lists the benches without a name', () => {
    const shell = ['submit', 'submit-pubsub', 'results']
    const worker = ['latency', 'memory', 'memory-soak', 'overhead', 'overhead-firestore', 'quota', 'storm']
    const names = ['coldstart', 'firestore', 'fleet', ...worker, ...shell, 'token', 'token-soak']
    assert.deepEqual(run(), { status: 0, stdout: `${names.join('\n')}\n`, stderr: '' })
  })

  const misuses = [['nothing'], ['toString'], ['firestore', 'overhead'], ['firestore', '--rounds', '0'], ['--fast']]
  for (const args of misuses) {
    test(`exits with 2 and lists the benches at ${args.join(' ')}`, () => {
      const { status, stdout, stderr } = run(...args)
      assert.deepEqual([status, stdout], [2, ''])
      assert.match(
        stderr,
        /benches: coldstart, firestore, fleet, latency, memory, memory-soak, overhead, overhead-firestore, quota, storm, submit, submit-pubsub, results, token, token-soak/,
      )
    })
  }
})

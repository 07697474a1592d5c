import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listAsTheySettle } from '../../cli/results/list-as-they-settle.ts'
import { progressOf } from '../../shared/stores/batch-progress.ts'

/** At which numbers of settled jobs a batch is listed, if each listing takes so long and it is looked at once a second. */
async function listedAt(total: number, { isBilled, tookMs }: { isBilled: boolean; tookMs: number }): Promise<number[]> {
  let [now, settled] = [1_000_000, 0]
  const listed: number[] = []
  const batch = { status: 'sealed', name: 'nightly', createdAt: 0, total } as const
  async function* looks() {
    while (settled < total) {
      now += 1_000
      settled += 1
      const tokens = { promptTokens: 0, completionTokens: 0 }
      yield { progress: progressOf('nightly', batch, { counts: { succeeded: settled }, failures: {}, tokens }) }
    }
  }
  async function* list() {
    listed.push(settled)
    now += tookMs
    yield { unreadable: 'a' }
  }
  for await (const _ of listAsTheySettle(looks(), { list, now: () => now, isBilled }));
  return listed
}

test('follow: a batch is listed at each change while that is quick and free', async () => {
  assert.deepEqual(await listedAt(5, { isBilled: false, tookMs: 1 }), [1, 2, 3, 4, 5])
})

test('follow: where each record is billed, all listings together read a few times the batch, and the last is whole', async () => {
  const listed = await listedAt(1_000, { isBilled: true, tookMs: 1 })
  assert.equal(listed.at(-1), 1_000)
  assert.ok(listed.reduce((sum, n) => sum + n, 0) < 6_000)
})

test('follow: slow listings take a small part of the time', async () => {
  const listed = await listedAt(1_000, { isBilled: false, tookMs: 60_000 })
  assert.ok(listed.length < 30, `${listed.length}`)
})

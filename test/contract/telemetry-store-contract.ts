import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Listing, TelemetryStore, TokenFailure } from '../../shared/stores/telemetry-store.ts'
import { START } from '../support/job-builders.ts'
import { aTokenFailure, aWorkerInstance } from '../support/telemetry-builders.ts'
import { factsOf } from './facts.ts'
import { isStoreError } from './job-store-support.ts'

export interface TelemetryHarness {
  readonly telemetry: TelemetryStore
  /** Writes a failure's document with the fields of this object, as another program could. */
  plant(foreign: { readonly id: string; readonly lastAt: number }): Promise<void>
  close(): Promise<void>
}

const ids = ({ found }: Listing<TokenFailure>) => found.map(({ id }) => id)
const only = <T>(found: T): Listing<T> => ({ found: [found], unreadable: 0 })
const MANY = 100

/** The behaviour that every adapter of TelemetryStore must hold. */
export function telemetryStoreContract(name: string, open: () => Promise<TelemetryHarness>): void {
  const inHarness = factsOf(open)
  const fact = (title: string, holds: (telemetry: TelemetryStore, harness: TelemetryHarness) => Promise<void>) =>
    inHarness(title, (harness) => holds(harness.telemetry, harness))

  describe(`${name}: token failures`, () => {
    fact('there are none in an empty store', async (telemetry) => {
      assert.deepEqual(await telemetry.tokenFailures(0, MANY), { found: [], unreadable: 0 })
    })

    fact('one comes back as it was written', async (telemetry) => {
      await telemetry.putTokenFailure(aTokenFailure())
      assert.deepEqual(await telemetry.tokenFailures(0, MANY), only(aTokenFailure()))
    })

    fact('one with the least there can be comes back as it was written', async (telemetry) => {
      const { code, aadsts, httpStatus, correlationId, presented, deployment, resolvedAt, ...least } = aTokenFailure()
      const failure = { ...least, instance: { id: 'instance-1' } }
      await telemetry.putTokenFailure(failure)
      assert.deepEqual(await telemetry.tokenFailures(0, MANY), only(failure))
    })

    fact('one that is written again is replaced, and keeps nothing of before', async (telemetry) => {
      const { correlationId, resolvedAt, ...again } = aTokenFailure({ tries: 4, aadsts: [] })
      await telemetry.putTokenFailure(aTokenFailure())
      await telemetry.putTokenFailure(again)
      assert.deepEqual(await telemetry.tokenFailures(0, MANY), only(again))
    })

    for (const id of ['a/b', '.', '..', '__x__', 'Nacht № 7']) {
      fact(`one may be named "${id}"`, async (telemetry) => {
        await telemetry.putTokenFailure(aTokenFailure({ id }))
        await telemetry.putTokenFailure(aTokenFailure({ id: 'another' }))
        assert.deepEqual(ids(await telemetry.tokenFailures(0, MANY)).toSorted(), [id, 'another'].toSorted())
      })
    }

    fact('the latest comes first, and no more come than were asked for', async (telemetry) => {
      const { resolvedAt, ...open } = aTokenFailure()
      for (const minute of [2, 4, 1, 3]) {
        await telemetry.putTokenFailure({ ...open, id: `minute ${minute}`, lastAt: START + minute * 60_000 })
      }
      const newest = ['minute 4', 'minute 3', 'minute 2']
      assert.deepEqual(ids(await telemetry.tokenFailures(START + 120_000, MANY)), newest)
      assert.deepEqual(ids(await telemetry.tokenFailures(START + 120_000, 2)), newest.slice(0, 2))
    })

    fact('one is listed up to the very millisecond of its last try', async (telemetry) => {
      const { resolvedAt, ...open } = aTokenFailure({ lastAt: START + 1 })
      await telemetry.putTokenFailure(open)
      assert.deepEqual(ids(await telemetry.tokenFailures(START + 1, MANY)), [open.id])
      assert.deepEqual(ids(await telemetry.tokenFailures(START + 2, MANY)), [])
    })

    fact('one that was resolved is listed by the time of that', async (telemetry) => {
      await telemetry.putTokenFailure(aTokenFailure({ lastAt: START, resolvedAt: START + 5_000 }))
      const resolved = aTokenFailure({ lastAt: START + 5_000, resolvedAt: START + 5_000 })
      assert.deepEqual(await telemetry.tokenFailures(START + 5_000, MANY), only(resolved))
    })

    fact('a time that was drawn at random loses its fraction', async (telemetry) => {
      await telemetry.putTokenFailure(aTokenFailure({ nextTryAt: START + 0.25, tokenValidForMs: 0.75 }))
      const whole = aTokenFailure({ nextTryAt: START, tokenValidForMs: 1 })
      assert.deepEqual(await telemetry.tokenFailures(0, MANY), only(whole))
    })

    for (const [what, over] of Object.entries({
      'a time that is none': { nextTryAt: Number.NaN },
      'a time before 1970': { firstAt: -1 },
      'a time after the year 9999': { nextTryAt: Date.UTC(10_000, 0) },
      'a count that is not finite': { tries: Number.POSITIVE_INFINITY },
    })) {
      fact(`one with ${what} is refused`, async (telemetry) => {
        await assert.rejects(telemetry.putTokenFailure(aTokenFailure(over)), isStoreError('refused'))
        assert.deepEqual(await telemetry.tokenFailures(0, MANY), { found: [], unreadable: 0 })
      })
    }

    fact(
      'a malformed document is counted, and hides no other; its readable fields are read',
      async (telemetry, { plant }) => {
        await telemetry.putTokenFailure(aTokenFailure({ id: 'before' }))
        await plant({ id: 'foreign', lastAt: START + 90_001 })
        await plant({ ...aTokenFailure({ id: 'edited', lastAt: START + 90_002 }), ...{ tries: 'three' } })
        await plant({ ...aTokenFailure({ id: 'half', lastAt: START + 90_003 }), ...{ tries: null } })
        await telemetry.putTokenFailure(aTokenFailure({ id: 'after', resolvedAt: START + 90_004 }))
        const { found, unreadable } = await telemetry.tokenFailures(0, MANY)
        assert.deepEqual([found.map(({ id }) => id), unreadable], [['after', 'half', 'edited', 'before'], 1])
      },
    )

    fact('fifty that are written at once are all there', async (telemetry) => {
      const written = Array.from({ length: 50 }, (_, n) => aTokenFailure({ id: `episode-${n}`, tries: n }))
      await Promise.all(written.map((failure) => telemetry.putTokenFailure(failure)))
      const { found } = await telemetry.tokenFailures(0, MANY)
      assert.deepEqual(
        found.toSorted((a, b) => a.tries - b.tries),
        written,
      )
    })

    fact('the last of two that follow each other at once stands', async (telemetry) => {
      const writes = [1, 2, 3].map((tries) => telemetry.putTokenFailure(aTokenFailure({ tries })))
      await Promise.all(writes)
      assert.deepEqual(await telemetry.tokenFailures(0, MANY), only(aTokenFailure({ tries: 3 })))
    })
  })

  describe(`${name}: instances`, () => {
    fact('one comes back as it was written, and is no failure', async (telemetry) => {
      await telemetry.putInstance(aWorkerInstance())
      assert.deepEqual(await telemetry.instances(0), only(aWorkerInstance()))
      assert.deepEqual(await telemetry.tokenFailures(0, MANY), { found: [], unreadable: 0 })
    })

    fact('one that serves nothing yet comes back as it was written', async (telemetry) => {
      const idle = aWorkerInstance({ models: [], lastMinute: {}, token: 'none', inFlight: 0 })
      await telemetry.putInstance(idle)
      assert.deepEqual(await telemetry.instances(0), only(idle))
    })

    fact('the outcomes of a former release are read beside those of this one', async (telemetry) => {
      const mixed = aWorkerInstance({ lastMinute: { again_token: 2, retry_token: 1, a_later_one: 3 } })
      await telemetry.putInstance(mixed)
      assert.deepEqual(await telemetry.instances(0), only(mixed))
    })

    fact('the last sign of one replaces those before', async (telemetry) => {
      const { lastMinute, ...same } = aWorkerInstance()
      await telemetry.putInstance({ ...same, lastMinute })
      const later = { ...same, at: START + 120_000, lastMinute: { throttled: 3 } }
      await telemetry.putInstance(later)
      assert.deepEqual(await telemetry.instances(0), only(later))
    })

    fact('those that gave a sign since then are listed, the latest first', async (telemetry) => {
      for (const minute of [2, 1, 3]) {
        const instance = { id: `instance ${minute}` }
        await telemetry.putInstance(aWorkerInstance({ instance, at: START + minute * 60_000 }))
      }
      const { found } = await telemetry.instances(START + 120_000)
      const since = found.map(({ instance }) => instance.id)
      assert.deepEqual(since, ['instance 3', 'instance 2'])
    })
  })

  test(`${name}: telemetry of a store that is away is an error, never an empty list`, async () => {
    const { telemetry, close } = await open()
    await close()
    const calls = {
      putTokenFailure: () => telemetry.putTokenFailure(aTokenFailure()),
      putInstance: () => telemetry.putInstance(aWorkerInstance()),
      tokenFailures: () => telemetry.tokenFailures(0, MANY),
      instances: () => telemetry.instances(0),
    }
    for (const [call, made] of Object.entries(calls)) await assert.rejects(made(), isStoreError('unavailable'), call)
  })
}

import type { CheckedPushes } from '../../shared/config/config.ts'
import type { Clock } from '../../shared/lib/clock.ts'
import { quote } from '../../shared/lib/quote.ts'
import { StoreError } from '../../shared/stores/job-store.ts'
import type { Finding } from './step.ts'

export interface SweepDependencies {
  readonly now: Clock
  /** HOST:PORT of Firestore's. */
  readonly emulator: string | undefined
}

/** Cloud Scheduler calls every minute. A sweep may not have time for every batch. */
const LATE_MS = 300_000

/** Checks that the sweep runs: by the unfinished batch that was swept longest ago. */
export async function checkSweep(
  place: { readonly project: string; readonly database?: string },
  pushes: CheckedPushes | undefined,
  { now, emulator }: SweepDependencies,
): Promise<Finding> {
  const { openDatabase } = await import('../../shared/stores/firestore/database.ts')
  const { createFirestoreBatches } = await import('../../shared/stores/firestore/firestore-batches.ts')
  const database = openDatabase({ ...place, emulator })
  try {
    const batch = await firstOf(createFirestoreBatches(database).unfinished(1))
    if (batch === undefined) return { ok: null, seen: 'not known: there is no unfinished batch' }
    return judgeSweep(batch, now(), createLine(place.project, pushes))
  } catch (error) {
    if (error instanceof StoreError) return { ok: null, seen: 'not known: the store did not answer' }
    throw error
  } finally {
    // An error of the close adds nothing to the result.
    await database.close().catch(() => undefined)
  }
}

interface SweptBatch {
  readonly name: string
  readonly createdAt: number
  readonly sweptAt?: number | undefined
  readonly deferredAt?: number | undefined
}

/** Judges by the last sweep of a batch whether there are any. A batch that is new may not have had one yet. */
export function judgeSweep({ name, createdAt, sweptAt, deferredAt }: SweptBatch, now: number, fix: string): Finding {
  const last = Math.max(sweptAt ?? 0, deferredAt ?? 0)
  const agoMs = now - (last || createdAt)
  const minutes = `${Math.floor(agoMs / 60_000)} min ago`
  const looked = (deferredAt ?? 0) > (sweptAt ?? 0) ? 'could not be counted' : 'was counted'
  if (agoMs < LATE_MS && last > 0) return { ok: true, seen: `batch ${name} ${looked} ${minutes}`, value: undefined }
  if (agoMs < LATE_MS) {
    return { ok: null, seen: `not known yet: batch ${name} was submitted ${minutes}, and has not been counted` }
  }
  return {
    ok: false,
    seen: sweptAt === undefined ? `batch ${name} was never counted` : `batch ${name} was last counted ${minutes}`,
    expected: 'POST /sweep, every minute',
    fix,
  }
}

async function firstOf<T>(pages: AsyncIterable<readonly T[]>): Promise<T | undefined> {
  for await (const [first] of pages) if (first !== undefined) return first
  return undefined
}

function createLine(project: string, pushes: CheckedPushes | undefined): string {
  const identity =
    pushes === undefined
      ? []
      : [
          `--oidc-service-account-email=${quote(pushes.serviceAccount)}`,
          `--oidc-token-audience=${quote(pushes.audience)}`,
        ]
  return [
    `gcloud scheduler jobs create http promptbridge-sweep --project=${quote(project)} --location=REGION`,
    "--schedule='* * * * *' --uri=https://WORKER/sweep --http-method=POST",
    ...identity,
  ].join(' ')
}

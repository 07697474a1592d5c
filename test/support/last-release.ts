import type { z } from 'zod'
import type * as changes from '../../shared/job/transitions.ts'

/** Reads what a store holds, as the last release does. */
type Reader = Pick<z.ZodType, 'parse'>

interface LastRelease
  extends Pick<typeof changes, 'firstRecord' | 'nextRun' | 'ended' | 'succeeded' | 'cancelledUnseen'> {
  sweptBack: typeof changes.requeued
  readonly jobRecord: Reader
  readonly storedBatch: Reader
  readonly tokenFailure: Reader
  readonly workerInstance: Reader
  /** Firestore's form of an object's fields. */
  readonly fields: Reader
  toFields(map: object): Record<string, unknown>
  readStoredLetter(document: unknown): unknown
  toStoredLetter(letter: unknown): unknown
  nextAttempt(found: unknown, request: object): object
  released(record: ReturnType<typeof changes.firstRecord>, release: object, now: number): object
}

/** What the last release reads and writes: bundled from its source, so that it stays as it was. */
export const lastRelease: LastRelease = await import(new URL('../fixtures/last-release.mjs', import.meta.url).href)

import type { Log } from '../shared/log.ts'
import { StoreError } from '../shared/store/job-store.ts'

/** What a sweep was about: names it in the log. */
type About = { readonly jobKey: string } | { readonly batch: string } | { readonly query: string }

/**
 * Does one thing of a sweep, and resolves with undefined where the store would do no better at the next try: a record that
 * it refuses, or a missing index, is told and keeps the sweep from nothing else. Rejects with every other error.
 */
export async function unlessRefused<T>(log: Log, about: About, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof StoreError) || error.code === 'unavailable') throw error
    log.warn({ outcome: 'sweep_refused', ...about, error }, 'the sweep leaves this out, and will until it is mended')
    return undefined
  }
}

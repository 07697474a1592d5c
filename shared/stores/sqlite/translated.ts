import { z } from 'zod'
import { StoreError } from '../job-store.ts'

/** Runs work on the database and converts every error to StoreError. */
export async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof StoreError) throw error
    if (error instanceof z.ZodError) throw new StoreError('corrupt', 'a row of the database is malformed', error)
    throw new StoreError('unavailable', 'the database cannot be read or written now', error)
  }
}

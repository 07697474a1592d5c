import { openSqliteBatches } from '../../shared/stores/sqlite/sqlite-batches.ts'
import type { TestWorker } from './worker.ts'

type Batches = Awaited<ReturnType<typeof openSqliteBatches>>

/** Does something with the batches in a worker's file. */
export async function withBatches<T>(
  { file }: Pick<TestWorker, 'file'>,
  work: (batches: Batches) => Promise<T>,
): Promise<T> {
  const batches = await openSqliteBatches(file)
  try {
    return await work(batches)
  } finally {
    batches.close()
  }
}

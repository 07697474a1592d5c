import { Worker } from 'node:worker_threads'
import { z } from 'zod'
import { readDocument } from './read-document.ts'
import { ReadError } from './read-error.ts'

/** Reads documents for the process that started it, one after the other, and ends with it. */

const MAX_MEMORY = 768 * 1024 * 1024
/** Libraries also use memory outside the heap, which no option limits. They block the main thread, so another one measures. */
const WATCH = `setInterval(() => { if (process.memoryUsage.rss() > ${MAX_MEMORY}) process.kill(process.pid, 'SIGKILL') }, 20)`

const request = z.object({ path: z.string(), kind: z.enum(['pdf', 'docx', 'html']) })

new Worker(WATCH, { eval: true }).unref()
process.on('disconnect', () => process.exit())
process.on('message', async (message) => {
  const { path, kind } = request.parse(message)
  process.send?.(
    await readDocument(path, kind).then(
      (text) => ({ text }),
      (error: unknown) => ({ problem: describe(error) }),
    ),
  )
})

/** The messages of libraries may quote content. */
function describe(error: unknown): string {
  if (error instanceof ReadError) return error.message
  return error instanceof RangeError ? 'it needs too much memory' : 'it is damaged, or in a form that is not read'
}

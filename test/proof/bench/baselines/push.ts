import { z } from 'zod'

const envelope = z.object({ message: z.object({ data: z.string() }) })
const job = z.object({
  id: z.string(),
  body: z.object({
    messages: z.array(z.object({ role: z.literal('user'), content: z.string() })),
    max_tokens: z.int().nullable().default(null),
  }),
})

/** The job that a push carries. */
export function readJob(push: unknown): z.infer<typeof job> {
  const { data } = envelope.parse(push).message
  return job.parse(JSON.parse(Buffer.from(data, 'base64').toString()))
}

/** Logs where it listens, in the form of the worker's own log, for the process that started this one. */
export function printAddress(address: unknown): void {
  process.stdout.write(`${JSON.stringify({ message: 'listens', address })}\n`)
}

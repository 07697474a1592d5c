import { z } from 'zod'

/** One call as a stand-in logged it. `at` is epoch milliseconds; `status` is null if there was no response. */
const call = z.object({
  id: z.number(),
  at: z.number(),
  operation: z.string(),
  status: z.number().nullable(),
  durationMs: z.number(),
  detail: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
})
export type Call = z.infer<typeof call>

/** Reads all calls that a stand-in has logged since the state file was created. */
export async function readCalls(controlUrl: string): Promise<Call[]> {
  const calls: Call[] = []
  for (;;) {
    const after = calls.at(-1)?.id ?? 0
    const page = z.array(call).parse(await (await fetch(`${controlUrl}/__calls?after=${after}`)).json())
    if (page.length === 0) return calls
    calls.push(...page)
  }
}

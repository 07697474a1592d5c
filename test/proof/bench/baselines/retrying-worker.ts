import { setTimeout as delay } from 'node:timers/promises'
import pRetry from 'p-retry'
import { z } from 'zod'
import { askOpenAI } from './ask-openai.ts'
import { listenExpress } from './listen-express.ts'

/** What one would add to the Express worker for a quota: p-retry around the client, or a bucket with an even share before it. */
const environment = z
  .object({
    RETRY: z.enum(['client', 'p-retry']),
    /** The first wait of p-retry, where a minute is shorter than one; its own default is 1,000. */
    MIN_TIMEOUT_MS: z.coerce.number().positive(),
    /** Milliseconds between two jobs of this instance. */
    SPACING_MS: z.coerce.number().nonnegative(),
  })
  .parse(process.env)

let due = 0

listenExpress(async (job) => {
  const now = Date.now()
  const turn = Math.max(due, now)
  due = turn + environment.SPACING_MS
  if (turn > now) await delay(turn - now)
  if (environment.RETRY === 'client') await askOpenAI(job)
  else await pRetry(() => askOpenAI(job), { minTimeout: environment.MIN_TIMEOUT_MS })
})

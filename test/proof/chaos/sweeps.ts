import { setTimeout as delay } from 'node:timers/promises'

const EVERY_MS = 2_000
const END_WITHIN_MS = 10_000

export interface Sweeps {
  /** How many were answered with 200. */
  done(): number
  stop(): Promise<void>
}

/** Calls one worker after the other to sweep, as Cloud Scheduler does; one that is dead or stopped is missed. */
export function startSweeps(urls: readonly string[], token: () => Promise<string>, signal: AbortSignal): Sweeps {
  const stopping = new AbortController()
  const over = AbortSignal.any([signal, stopping.signal])
  let done = 0

  async function sweep(url: string): Promise<void> {
    const headers = { authorization: `Bearer ${await token()}` }
    const within = AbortSignal.any([over, AbortSignal.timeout(END_WITHIN_MS)])
    const answer = await fetch(`${url}/sweep`, { method: 'POST', headers, signal: within }).catch(() => undefined)
    if (answer?.status === 200) done += 1
    await answer?.body?.cancel()
  }

  async function sweepOnAndOn(): Promise<void> {
    for (let turn = 0; !over.aborted; turn += 1) {
      // Not waited for: one that a stopped worker holds must not hold up the others.
      sweep(urls[turn % urls.length] ?? '').catch(() => undefined)
      await delay(EVERY_MS, undefined, { signal: over }).catch(() => undefined)
    }
  }

  const sweeping = sweepOnAndOn()
  return {
    done: () => done,
    async stop() {
      stopping.abort()
      await sweeping
    },
  }
}

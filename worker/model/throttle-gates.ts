/** Holds a deployment's requests back after it said that its quota is used up. */
export interface ThrottleGates {
  /** Milliseconds until the deployment may be asked again; 0 when it may be now. */
  opensInMs(deployment: string): number
  close(deployment: string, retryAfterMs: number | undefined): void
}

const DEFAULT_WAIT_MS = 1_000
const MAX_WAIT_MS = 60_000
/** So that the instances that were told the same time do not all come back in the same moment. */
const JITTER = 0.2

/** `now`: epoch milliseconds. `random`: 0 to 1. */
export function createThrottleGates(now: () => number, random: () => number): ThrottleGates {
  const openAt = new Map<string, number>()
  return {
    opensInMs: (deployment) => Math.max(0, (openAt.get(deployment) ?? 0) - now()),
    close(deployment, retryAfterMs = DEFAULT_WAIT_MS) {
      const waitMs = Math.ceil(Math.min(retryAfterMs, MAX_WAIT_MS) * (1 + JITTER * random()))
      openAt.set(deployment, Math.max(openAt.get(deployment) ?? 0, now() + waitMs))
    },
  }
}

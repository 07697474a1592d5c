import type { Random } from '../support/seeded-random.ts'

/**
 * What a deployment does for a while with every request.
 *
 * - unavailable: it answers 5xx or 409, with and without a time to wait
 * - throttled: 429
 * - missing: 404
 * - silent: it never answers
 * - denied: 403
 * - redirected: 307
 */
export const windowKinds = ['unavailable', 'throttled', 'missing', 'silent', 'denied', 'redirected'] as const
export type WindowKind = (typeof windowKinds)[number]

/** Epoch milliseconds. */
export interface ModelWindow {
  readonly kind: WindowKind
  readonly from: number
  readonly to: number
}

const MINUTE_MS = 60_000
/** A deployment that is missing ends its jobs after ten minutes: some windows are shorter, some longer. */
const LONGEST_MINUTES: Readonly<Record<WindowKind, readonly number[]>> = {
  unavailable: [5, 30, 180],
  throttled: [3, 10],
  missing: [9, 40],
  silent: [5, 30],
  denied: [5, 60],
  redirected: [5, 30],
}

/** Draws when a deployment answers nobody. `start`: epoch milliseconds. */
export function drawModelWindows(random: Random, start: number): readonly ModelWindow[] {
  return windowKinds.flatMap((kind) => {
    if (!random.chance(kind === 'unavailable' ? 0.25 : 0.08)) return []
    const from = start + random.whole(0, 8) * MINUTE_MS
    return [{ kind, from, to: from + random.whole(1, random.pick(LONGEST_MINUTES[kind])) * MINUTE_MS }]
  })
}
